"""What a head profile holds beside the heads that rank chunks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from attnmass.checks import check_finite, check_share

Head = tuple[int, int]
Features = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class SpanRule:
    """How spans (sentences and the like) are scored.

    Attributes:
        heads: `(layer, head)`, 0-based; they may differ from those that rank chunks.
        weights: One for each head; they sum to 1.
        length_exponent: Mass is divided by the span's tokens to this power: 0 is plain mass, 1 the
            mean.
        chunk_share: Share of the chunk's mass in the score, in the logarithm; 0 is none of it.

    Raises:
        ValueError: If a number is out of range.
    """

    heads: tuple[Head, ...]
    weights: tuple[float, ...]
    length_exponent: float = 0.5
    chunk_share: float = 0.5

    def __post_init__(self) -> None:
        check_weights(self.heads, self.weights)
        for name in ("length_exponent", "chunk_share"):
            check_share(name, getattr(self, name))


@dataclass(frozen=True, slots=True)
class EvidenceRule:
    """How the masses of all chunks become one number, by logistic regression.

    `evidence = sigmoid(best * log(b) + total * log(t) + chunks * log(n) + tokens * log(l) + bias)`,
    where `b` is the largest mass of a chunk divided by its tokens to the power `length_exponent`,
    `t` the mass of all chunks, `n` their number and `l` their mean length in tokens: the more and
    the longer the chunks, the more mass they get for nothing and the less is left for the best.

    Attributes:
        best: Coefficient of the best chunk.
        total: Coefficient of all chunks together.
        chunks: Coefficient of their number.
        tokens: Coefficient of their length.
        bias: Constant.
        length_exponent: As in `SpanRule`, for chunks.
        threshold: Less than this is no evidence; `None` where no data set one.

    Raises:
        ValueError: If a number is out of range.
        TypeError: If it is none.
    """

    best: float = 1.0
    total: float = 0.0
    chunks: float = 0.0
    tokens: float = 0.0
    bias: float = 0.0
    length_exponent: float = 0.0
    threshold: float | None = None

    def __post_init__(self) -> None:
        for name in ("best", "total", "chunks", "tokens", "bias"):
            check_finite(name, getattr(self, name))
        check_share("length_exponent", self.length_exponent)
        check_share("threshold", self.threshold, optional="none")

    def features(self, masses: Sequence[float], n_tokens: Sequence[int]) -> Features:
        """What the coefficients are of, in their order.

        Args:
            masses: Attention mass of each chunk, at least one.
            n_tokens: Tokens of each chunk.
        """
        best = max(
            mass / max(count, 1) ** self.length_exponent
            for mass, count in zip(masses, n_tokens, strict=True)
        )
        return (
            math.log(max(best, 1e-9)),
            math.log(max(sum(masses), 1e-9)),
            math.log(len(masses)),
            math.log(max(1.0, sum(n_tokens) / len(n_tokens))),
        )

    def __call__(self, masses: Sequence[float], n_tokens: Sequence[int]) -> float:
        """Evidence in [0, 1]; 0.0 where there are no chunks. Arguments as in `features`."""
        return self.of_features(self.features(masses, n_tokens)) if masses else 0.0

    def of_features(self, features: Features) -> float:
        """Evidence in [0, 1] from what `features` gave."""
        weights = (self.best, self.total, self.chunks, self.tokens)
        logit = self.bias + sum(w * x for w, x in zip(weights, features, strict=True))
        return 1 / (1 + math.exp(-max(-700.0, min(700.0, logit))))


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
