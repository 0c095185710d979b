"""Whether anything here answers, by relevance and by a retriever's scores: numbers in, one out."""

from __future__ import annotations

import math
from collections.abc import Sequence

from attnmass.options.choices import RetrievalKind
from attnmass.profiles.fusing import FuseRule
from attnmass.scoring.order import sigmoid

# Scores that may be cosines of what answers. Below are the sums of reciprocal ranks, and what other
# questions' chunks have; above, by more than half precision is off by, BM25's and inner products.
_LEAST, _MOST = 0.1, 1.01
# Log-odds that a score adds to relevance or takes from it at most. Retrievers have other scales
# than the one that the weights are fitted to: with some embedders all cosines are high, and some
# searches scale the best to 1.
_BOUND = 1.5
_ROUNDING = 1e-12  # probabilities are that far from 0 and 1 at least


def best_evidence(
    relevance: Sequence[float],
    given: Sequence[float | None],
    kind: RetrievalKind,
    rule: FuseRule | None,
) -> float:
    """The best chunk's evidence: its relevance, and where it has a cosine, what both say.

    Each chunk is told by its own two numbers, so that no further chunk lowers it, whatever the
    order. What a retriever's scores are could only be guessed from all of them together, and a
    further chunk would change the guess. So each counts that may be a cosine, and within bounds.

    Args:
        relevance: Of each chunk, in [0, 1].
        given: The retriever's score of each; `None` where there is none that counts.
        kind: What the caller says of them; distances and ranks do not count.
        rule: The profile's; without `FuseRule.evidence` relevance alone counts.
    """
    weights = None if rule is None else rule.evidence
    if weights is None or kind in ("distance", "rank"):
        return max(relevance, default=0.0)
    pairs = zip(relevance, given, strict=True)
    return max((by_both(one, score, weights) for one, score in pairs), default=0.0)


def may_be_cosine(score: float) -> bool:
    """Whether a retriever's score counts in evidence."""
    return _LEAST < score <= _MOST


def by_both(relevance: float, score: float | None, weights: tuple[float, float, float]) -> float:
    """A chunk's evidence, see `FuseRule.evidence`.

    Args:
        relevance: Its relevance, in [0, 1].
        score: The retriever's, which counts above 0.1 and up to 1.
        weights: The profile's.
    """
    if score is None or not may_be_cosine(score):
        return relevance
    of_relevance, of_score, bias = weights
    alone = log_odds(relevance)
    both = of_relevance * alone + of_score * score + bias
    return sigmoid(min(max(both, alone - _BOUND), alone + _BOUND))


def log_odds(probability: float) -> float:
    """The inverse of the logistic function, bounded."""
    held = min(max(probability, _ROUNDING), 1 - _ROUNDING)
    return math.log(held / (1 - held))
