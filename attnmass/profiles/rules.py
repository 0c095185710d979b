"""What a head profile holds besides the heads that rank chunks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from attnmass.options.checks import check_finite, check_share

Head = tuple[int, int]
Features = tuple[float, ...]

_LEAST = 1e-9  # mass that is told from none
_LARGEST = 1e6  # of numbers in a rule, which a fit has below 100
_FLOOR = 0.02  # of a head's mean mass; what is far below it is all alike


@dataclass(frozen=True, slots=True)
class RankRule:
    """How the attention mass of all chunks is shared out among them.

    A chunk's share is proportional to the product over all heads of
    `(m / mean + 0.02) ** exponent`, where `m` is the head's mass of the chunk and `mean` that of
    all chunks: a conditional logit model (McFadden, 1974) of the logarithms of masses. Heads with a
    negative exponent look at a chunk whatever the query is, and so tell what mass is worth, which
    in-context re-ranking learns from a null query (Chen et al., arXiv 2410.02642).

    Attributes:
        heads: `(layer, head)`, 0-based.
        exponents: One for each head, of either sign.

    Raises:
        ValueError: If there is no head, one is there twice, or there are not as many exponents.
        TypeError: If an exponent is not a number.
    """

    heads: tuple[Head, ...]
    exponents: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.heads or len(self.heads) != len(self.exponents):
            raise ValueError(
                f"{len(self.heads)} heads need as many exponents, at least one, "
                f"not {len(self.exponents)}"
            )
        check_heads(self.heads)
        for exponent in self.exponents:
            check_number("exponents", exponent)

    def __call__(self, masses: Sequence[float], by_head: Sequence[Sequence[float]]) -> list[float]:
        """The mass of each chunk when all of it is shared out anew.

        Args:
            masses: Attention mass of each chunk by the profile's heads; what is below zero, where a
                null query's was subtracted, counts as none.
            by_head: For each of `heads` its mass of each chunk.

        Returns:
            One for each chunk, at least 0; they sum to what `masses` sum to, at most 1.
        """
        logits = [0.0] * len(masses)
        for row, exponent in zip(by_head, self.exponents, strict=True):
            for i, value in enumerate(log_relative(row)):
                logits[i] += exponent * value
        top = max(logits, default=0.0)
        shares = [math.exp(logit - top) for logit in logits]
        total, whole = min(1.0, sum(max(0.0, mass) for mass in masses)), sum(shares)
        return [total * share / whole for share in shares]


def log_relative(masses: Sequence[float], mean: float | None = None) -> list[float]:
    """Logarithm of each mass over the mean of all, of one head; about 0 where it is even.

    What is far below the mean is bounded, so that nothing is ruled out by a single head.

    Args:
        masses: Of chunks, or of a chunk's spans.
        mean: What they are compared with; default: their own mean.
    """
    if mean is None:
        mean = sum(masses) / max(len(masses), 1)
    if mean <= _LEAST:
        return [0.0] * len(masses)
    return [math.log(max(mass, 0.0) / mean + _FLOOR) for mass in masses]


@dataclass(frozen=True, slots=True)
class SpanRule:
    """How spans (sentences and the like) are scored.

    `(a / tokens ** length_exponent) ** (1 - chunk_share) * chunk_score ** chunk_share`, where `a`
    is the span's mass by all heads, weighted; or, with exponents, its share of its chunk:
    proportional to the product over all heads of `(m / mean + 0.02) ** exponent`, where `m` is the
    head's mass of the span and `mean` that of the chunk's spans. That is `RankRule` over the spans
    of one chunk, so no other chunk plays a part in it.

    Attributes:
        heads: `(layer, head)`, 0-based; they may differ from those that rank chunks.
        weights: One for each head; they sum to 1.
        length_exponent: Long spans gather mass by their length alone: 0 is plain mass, 1 the mean.
        chunk_share: Share of the chunk's score in the span's, in the logarithm; 0 is none of it.
        exponents: One for each head, of either sign; none where spans are scored by weights.

    Raises:
        ValueError: If a number is out of range.
        TypeError: If an exponent is not a number.
    """

    heads: tuple[Head, ...]
    weights: tuple[float, ...]
    length_exponent: float = 0.5
    chunk_share: float = 0.5
    exponents: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        check_weights(self.heads, self.weights)
        if self.exponents and len(self.exponents) != len(self.heads):
            raise ValueError(
                f"{len(self.heads)} heads need as many exponents, or none, "
                f"not {len(self.exponents)}"
            )
        for exponent in self.exponents:
            check_number("exponents", exponent)
        for name in ("length_exponent", "chunk_share"):
            check_share(name, getattr(self, name))


@dataclass(frozen=True, slots=True)
class EvidenceRule:
    """How the masses of all chunks become one number, by logistic regression.

    `evidence = sigmoid(best * log(b) + total * log(t) + chunks * log(n) + tokens * log(l) + bias)`,
    where `b` is the largest mass of a chunk divided by its tokens to the power `length_exponent`,
    `t` the mass of all chunks, `n` their number and `l` their mean length in tokens: the more and
    the longer the chunks, the more mass they get for nothing and the less is left for the best.
    Heads that tell evidence may be others than those that rank: each of `heads` adds a `b` and a
    `t` of its own.

    Attributes:
        best: Coefficient of the best chunk, by the heads that rank chunks.
        total: Coefficient of all chunks together, likewise.
        chunks: Coefficient of their number.
        tokens: Coefficient of their length.
        bias: Constant.
        length_exponent: As in `SpanRule`, for chunks.
        threshold: Below this there is no evidence; `None` where no data set one.
        heads: `(layer, head)`, 0-based, that are looked at one by one.
        best_of: Coefficient of the best chunk for each of `heads`.
        total_of: Coefficient of all chunks together for each of `heads`.

    Raises:
        ValueError: If a number is out of range.
        TypeError: If a value is not a number.
    """

    best: float = 1.0
    total: float = 0.0
    chunks: float = 0.0
    tokens: float = 0.0
    bias: float = 0.0
    length_exponent: float = 0.0
    threshold: float | None = None
    heads: tuple[Head, ...] = ()
    best_of: tuple[float, ...] = ()
    total_of: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for name in ("best", "total", "chunks", "tokens", "bias"):
            check_number(name, getattr(self, name))
        check_share("length_exponent", self.length_exponent)
        check_share("threshold", self.threshold, optional="none")
        check_heads(self.heads)
        for name in ("best_of", "total_of"):
            found = getattr(self, name)
            if len(found) != len(self.heads):
                raise ValueError(
                    f"{name} must have a number for each of {len(self.heads)} heads, "
                    f"not {len(found)}"
                )
            for value in found:
                check_number(name, value)

    def features(
        self,
        masses: Sequence[float],
        n_tokens: Sequence[int],
        by_head: Sequence[Sequence[float]] = (),
    ) -> Features:
        """What the coefficients are of: those of the ranking heads, of the chunks, of each head.

        Args:
            masses: Attention mass of each chunk, at least one, by the heads that rank chunks.
            n_tokens: Tokens of each chunk.
            by_head: For each of `heads` its mass of each chunk.
        """
        sizes = [max(count, 1) ** self.length_exponent for count in n_tokens]
        found = [_best_and_total(row, sizes) for row in (masses, *by_head)]
        return (
            *found[0],
            math.log(len(masses)),
            math.log(max(1.0, sum(n_tokens) / len(n_tokens))),
            *(best for best, _ in found[1:]),
            *(total for _, total in found[1:]),
        )

    def __call__(
        self,
        masses: Sequence[float],
        n_tokens: Sequence[int],
        by_head: Sequence[Sequence[float]] = (),
    ) -> float:
        """Evidence in [0, 1]; 0.0 where there are no chunks. Arguments as in `features`."""
        return self.of_features(self.features(masses, n_tokens, by_head)) if masses else 0.0

    def of_features(self, features: Features) -> float:
        """Evidence in [0, 1] from what `features` gave."""
        weights = (self.best, self.total, self.chunks, self.tokens, *self.best_of, *self.total_of)
        logit = self.bias + sum(w * x for w, x in zip(weights, features, strict=True))
        return 1 / (1 + math.exp(-max(-700.0, min(700.0, logit))))


def _best_and_total(masses: Sequence[float], sizes: Sequence[float]) -> tuple[float, float]:
    """Logarithms of the largest mass for its size, and of all masses."""
    best = max(mass / size for mass, size in zip(masses, sizes, strict=True))
    return math.log(max(best, _LEAST)), math.log(max(sum(masses), _LEAST))


def check_number(name: str, value: float) -> None:
    """Hold a number of a rule to a range in which sums of products with it are finite.

    Raises:
        TypeError: If it is not a number.
        ValueError: If it is not finite, or beyond a million.
    """
    check_finite(name, value)
    if abs(value) > _LARGEST:
        raise ValueError(f"{name} must be between -1e6 and 1e6, not {value:g}")


def check_heads(heads: Sequence[Head]) -> None:
    """Raise `ValueError` if a head is there twice."""
    if len(set(heads)) != len(heads):
        raise ValueError(f"a head was selected twice: {sorted(heads)}")


def check_weights(heads: Sequence[Head], weights: Sequence[float]) -> None:
    """Raise `ValueError` unless there is a head and every head, named once, has its share of 1."""
    if not heads:
        raise ValueError("a head profile needs at least one (layer, head)")
    if len(heads) != len(weights):
        raise ValueError(f"{len(heads)} heads need as many weights, not {len(weights)}")
    check_heads(heads)
    if not (min(weights) >= 0 and abs(sum(weights) - 1) <= 1e-6):  # NaN is neither
        raise ValueError(f"weights must be >= 0 and sum to 1, not {sum(weights):.6g}")
