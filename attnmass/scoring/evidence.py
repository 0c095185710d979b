"""Whether anything here answers, by relevance and by a retriever's scores: numbers in, one out."""

from __future__ import annotations

import math
from collections.abc import Sequence

from attnmass.options.choices import RetrievalKind
from attnmass.profiles.fusing import FuseRule
from attnmass.scoring.order import sigmoid

_ROUNDING = 1e-12  # probabilities are that far from 0 and 1 at least
ABOVE = 1.5  # log-odds that a cosine adds at most: with some embedders all of them are high


def best_evidence(
    relevance: Sequence[float],
    given: Sequence[float | None],
    kind: RetrievalKind,
    rule: FuseRule | None,
) -> float:
    """The best chunk's evidence: its relevance, and where it has a cosine, what both say.

    Each chunk is told by its own two numbers, so that no further chunk lowers it, whatever the
    order. So scores have a part only where the caller says that they are cosines. What others are
    could only be guessed from all of them together, and a further chunk would change the guess: a
    lone 0.05 may be a cosine or a sum of reciprocal ranks, a 1.0 the best there is or the best of
    those that were fetched.

    Args:
        relevance: Of each chunk, in [0, 1].
        given: The retriever's score of each; `None` where there is none that counts.
        kind: What the caller says of them.
        rule: The profile's; without `FuseRule.evidence` relevance alone counts.
    """
    weights = None if rule is None else rule.evidence
    if weights is None or kind != "cosine":
        return max(relevance, default=0.0)
    return max(
        (
            one if cosine is None else by_both(one, cosine, weights)
            for one, cosine in zip(relevance, given, strict=True)
        ),
        default=0.0,
    )


def by_both(relevance: float, cosine: float, weights: tuple[float, float, float]) -> float:
    """A chunk's evidence, see `FuseRule.evidence`.

    Args:
        relevance: Its relevance, in [0, 1].
        cosine: Its cosine.
        weights: The profile's.
    """
    of_relevance, of_cosine, bias = weights
    alone = log_odds(relevance)
    return sigmoid(min(of_relevance * alone + of_cosine * cosine + bias, alone + ABOVE))


def log_odds(probability: float) -> float:
    """The inverse of the logistic function, bounded."""
    held = min(max(probability, _ROUNDING), 1 - _ROUNDING)
    return math.log(held / (1 - held))
