"""Whether anything here answers, by relevance and by a retriever's scores: numbers in, one out."""

from __future__ import annotations

import math
from collections.abc import Sequence

from attnmass.options.choices import RetrievalKind
from attnmass.profiles.fusing import FuseRule
from attnmass.scoring.fusing import retrieved
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

    Each chunk is told by its own two numbers, so that no further chunk of the same retriever
    lowers it. Only cosines have a part: of distances and ranks one cannot tell what is near, and
    the scale of scores such as BM25's is the corpus's.

    Args:
        relevance: Of each chunk, in [0, 1].
        given: The retriever's score of each; `None` where there is none that counts.
        kind: What the caller says of them.
        rule: The profile's; without `FuseRule.evidence` relevance alone counts.
    """
    known = [place for place, score in enumerate(given) if score is not None]
    scores = [score for score in given if score is not None]
    weights = None if rule is None else rule.evidence
    if weights is None or not known:
        return max(relevance, default=0.0)
    found = retrieved(scores, [relevance[place] for place in known], kind)
    if not found.are_cosines:
        return max(relevance)
    told = list(relevance)
    for place, score in zip(known, found.scores, strict=True):
        told[place] = by_both(relevance[place], score, weights)
    return max(told)


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
