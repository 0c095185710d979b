"""How a chunk's mass against a fixed background becomes the probability that it holds evidence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from attnmass.options.checks import check_share
from attnmass.profiles.rules import Head, check_heads, check_number

_FLOOR = 0.01  # of mass; what is far below it is all alike
_STEEPEST = 700.0  # a logit whose exponential still is a number


@dataclass(frozen=True, slots=True)
class RelevanceRule:
    """A logistic regression of the logarithms of masses, calibrated on labelled chunks.

    `relevance = sigmoid(bias + sum over heads of weight * log(m + 0.01) + words * w)`, where `m` is
    the mass of the chunk alone beside the background, and `w` the share of the query's words that
    it says (Platt, 1999, for the calibration). No other candidate plays a part in it. The relevance
    of spans comes from the same sum over heads, with a scale, a weight of words and a bias of their
    own: a sentence has less mass than its chunk, and says fewer words.

    Attributes:
        heads: `(layer, head)`, 0-based.
        weights: One for each head, of either sign.
        bias: Constant.
        span_scale: What the sum is multiplied by for a span.
        span_bias: Constant of spans.
        min_relevance: Relevance below this is not worth its tokens in a budget, for chunks and
            spans, in [0, 1]; `None` where no data set one.
        evidence_threshold: Where no chunk has as much, there is no evidence; `None` likewise.
        words: Weight of the share of the query's words that a chunk says; at 0 they play no part.
        span_words: The same for a span.
        coverage: How much it counts in evidence which of the query's words two chunks that pass
            the threshold say together: an exponent, at least 0, where 0 leaves them aside; see
            `attnmass.scoring.evidence.covered`.

    Raises:
        ValueError: If a number is out of range, there is no head, one is there twice, there are
            not as many weights, or `coverage` has no threshold between 0 and 1.
        TypeError: If a value is not a number.
    """

    heads: tuple[Head, ...]
    weights: tuple[float, ...]
    bias: float = 0.0
    span_scale: float = 1.0
    span_bias: float = 0.0
    min_relevance: float | None = None
    evidence_threshold: float | None = None
    words: float = 0.0
    span_words: float = 0.0
    coverage: float = 0.0

    def __post_init__(self) -> None:
        if not self.heads or len(self.heads) != len(self.weights):
            raise ValueError(
                f"{len(self.heads)} heads need as many weights, at least one, "
                f"not {len(self.weights)}"
            )
        check_heads(self.heads)
        for weight in self.weights:
            check_number("weights", weight)
        for name in ("bias", "words", "span_scale", "span_words", "span_bias", "coverage"):
            check_number(name, getattr(self, name))
        for name in ("min_relevance", "evidence_threshold"):
            check_share(name, getattr(self, name), optional="none")
        if self.coverage < 0:
            raise ValueError(f"coverage must be at least 0, not {self.coverage:g}")
        if self.coverage and not 0 < (self.evidence_threshold or 0) < 1:
            raise ValueError("coverage needs an evidence_threshold between 0 and 1")

    @property
    def counts_words(self) -> bool:
        """Whether words play a part in it."""
        return self.words != 0 or self.span_words != 0 or self.coverage != 0

    def of_chunk(self, masses: Sequence[float], words: float = 0.0) -> float:
        """Relevance of a chunk, in [0, 1].

        Args:
            masses: For each of `heads`, the mass of the chunk beside the background, in [0, 1].
            words: The share of the query's words that the chunk says, see `QueryWords`.
        """
        return _sigmoid(self.logit(masses, words))

    def logit(self, masses: Sequence[float], words: float = 0.0) -> float:
        """Log-odds of a chunk's relevance; arguments as in `of_chunk`."""
        return self.bias + self._sum(masses) + self.words * words

    def moved(self, shift: float) -> RelevanceRule:
        """The same rule with all log-odds of chunks moved by `shift`, and those of spans alike."""
        return replace(
            self,
            bias=self.bias + shift,
            span_bias=self.span_bias + self.span_scale * shift,
        )

    def of_span(self, masses: Sequence[float], words: float = 0.0) -> float:
        """Relevance of a span; arguments as in `of_chunk`."""
        logit = self.span_bias + self.span_scale * self._sum(masses) + self.span_words * words
        return _sigmoid(logit)

    def _sum(self, masses: Sequence[float]) -> float:
        return sum(w * log_mass(m) for w, m in zip(self.weights, masses, strict=True))


def log_mass(mass: float) -> float:
    """What a weight is of: the logarithm of a mass, bounded below."""
    return math.log(max(mass, 0.0) + _FLOOR)


def _sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-max(-_STEEPEST, min(_STEEPEST, logit))))
