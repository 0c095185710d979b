"""Attention and a retriever's scores made into one order: pure functions over numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from attnmass.options.choices import RetrievalKind
from attnmass.profiles.fusing import FuseRule
from attnmass.scoring.order import standardize

_LEAST_FOR_DISTANCES = 3  # scores that only rise; two are too few to tell
_RECIPROCAL = 0.1  # sums of reciprocal ranks, 1 / (60 + rank), are above 0 and below
_BEST = 20  # scores that the others are measured by, however many were fetched
_LEAST_VARIANCE = 0.25  # of attention's logarithms; where they differ less, it has little to say
_AGREEMENT = 0.2  # rank correlation with attention that overrules the order in which chunks came


@dataclass(frozen=True, slots=True)
class Retrieved:
    """A retriever's scores, brought to one direction.

    Attributes:
        scores: One for each text, higher is better.
        kind: What they are: `"embedding"`, `"lexical"` or `"ranks"`; or the query's own `"words"`.
        turned: Whether lower was better in what the caller passed.
    """

    scores: tuple[float, ...]
    kind: str
    turned: bool = False

    @property
    def are_cosines(self) -> bool:
        """Whether they seem to be cosines, and not distances, negated or not."""
        return self.kind == "embedding" and not self.turned and max(self.scores) > 0


def retrieved(
    scores: Sequence[float], attention: Sequence[float], kind: RetrievalKind
) -> Retrieved:
    """Recognise what a retriever's scores are.

    Retrievers return their results best first. So scores that only rise from the first to the last
    are distances or ranks, where lower is better, unless attention has the same order; all others
    are similarities, or, where none is above zero, distances that were negated.

    Args:
        scores: Finite, in the order in which the chunks came.
        attention: What attention says about each; higher is better.
        kind: What the caller says about them.
    """
    turned = kind in ("distance", "rank") or (
        kind == "auto" and _rises(scores) and _agreement(scores, attention) < _AGREEMENT
    )
    found = tuple(-score for score in scores) if turned else tuple(scores)
    if kind == "rank" or (turned and _are_ranks(scores)):
        return Retrieved(found, "ranks", turned)
    if not turned and all(0 < score <= _RECIPROCAL for score in scores):
        return Retrieved(found, "ranks")
    if turned or all(-1 <= score <= 1 for score in scores) or max(scores) <= 0:
        return Retrieved(found, "embedding", turned)
    return Retrieved(found, "lexical")


def fused(attention: Sequence[float], found: Retrieved, rule: FuseRule) -> list[float]:
    """The logit of each text by both, see `FuseRule`.

    Args:
        attention: Logarithm of each text's share.
        found: What the retriever says.
        rule: The profile's.
    """
    of_attention, of_retrieval = getattr(rule, found.kind)
    pairs = zip(looked_at(attention), told(found), strict=True)
    return [of_attention * one + of_retrieval * other for one, other in pairs]


def looked_at(attention: Sequence[float]) -> list[float]:
    """What attention says about each text, on one scale for all queries.

    Args:
        attention: Logarithm of each text's share.
    """
    return standardize(attention, least_variance=_LEAST_VARIANCE)


def told(found: Retrieved) -> list[float]:
    """What a retriever says about each text, on one scale for all retrievers of a kind.

    Scores in units of the standard deviation of the 20 best, from their mean, so that the best
    stand as far apart whether 20 texts were fetched or 1,000. For ranks, the negated logarithm;
    equal ones share the mean of their places. Zeros where all are equal: then attention decides.
    """
    if found.kind == "ranks":
        return [-math.log(rank) for rank in _ranks(found.scores)]
    return standardize(found.scores, best=_BEST)


def _rises(scores: Sequence[float]) -> bool:
    if len(scores) < _LEAST_FOR_DISTANCES or scores[0] == scores[-1]:
        return False
    return all(one <= other for one, other in pairwise(scores))


def _agreement(scores: Sequence[float], attention: Sequence[float]) -> float:
    """Spearman's rank correlation, in [-1, 1]; 0 where all values of either side are equal."""
    one, other = _ranks(scores), _ranks(attention)
    mean = (len(one) + 1) / 2
    spread = math.sqrt(sum((x - mean) ** 2 for x in one) * sum((y - mean) ** 2 for y in other))
    if spread == 0:
        return 0.0
    return sum((x - mean) * (y - mean) for x, y in zip(one, other, strict=True)) / spread


def _are_ranks(scores: Sequence[float]) -> bool:
    return all(score == int(score) for score in scores) and min(scores) in (0, 1)


def _ranks(scores: Sequence[float]) -> list[float]:
    """Places from 1, the highest first; equal scores get the mean of theirs."""
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    found = [0.0] * len(scores)
    start = 0
    while start < len(order):
        stop = start
        while stop < len(order) and scores[order[stop]] == scores[order[start]]:
            stop += 1
        for place in order[start:stop]:
            found[place] = (start + 1 + stop) / 2
        start = stop
    return found
