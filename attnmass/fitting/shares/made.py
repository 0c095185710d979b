"""How mass is shared out among chunks, fitted on queries that are made from texts.

A sentence that was taken out of a chunk is not a question, so a rule that suits such sentences best
suits questions less. What carries over is a rule under a penalty that more queries do not weaken,
multiplied by the heads that are best alone.
"""

from __future__ import annotations

import numpy as np

from attnmass.fitting.captures.arrays import Quality
from attnmass.fitting.defaults import MOST_HEADS
from attnmass.fitting.heads.crossval import CrossValidation
from attnmass.fitting.heads.methods import Task, likelihood
from attnmass.fitting.metrics import Floats, Integers
from attnmass.fitting.shares.ranking import COUNTS, Exponents, RankingFit, Sharing

PENALTY = 1.0  # of squared exponents, against the mean loss over queries
OWN = 1.0  # exponent of the best heads' mass, spread over all of them


class MadeSharing(Sharing):
    """One rule, over as many heads as one may have."""

    _penalty = PENALTY

    @property
    def counts(self) -> list[int]:
        """How many heads it has."""
        return [min(COUNTS[-1], len(self.heads))]

    def _rules(self, rows: Integers) -> dict[int, Exponents]:
        ((count, rule),) = super()._rules(rows).items()
        task = Task(rows, np.array(rule.heads), MOST_HEADS)
        best = likelihood(Quality(self.arrays), task)[-1].heads
        exponents = [
            round(exponent + OWN / len(best) * (head in best), 4)
            for head, exponent in zip(rule.heads, rule.exponents, strict=True)
        ]
        return {count: Exponents(rule.heads, tuple(exponents))}


def fit_made(crossed: CrossValidation, sharing: Sharing, nested: Floats) -> RankingFit:
    """The rule, taken without asking queries made from texts: they cannot tell.

    Args:
        crossed: The selection of the heads that give mass.
        sharing: Fits the rule, over the same folds.
        nested: nDCG@10 of each query by heads that it had no say in, `[query]`.
    """
    (count,) = sharing.counts
    held_out = sharing.held_out(count)
    return RankingFit(sharing.path()[count], held_out, {0: nested, count: held_out})
