"""Which heads may share mass out: those up to the layer that gives it, or deeper ones as well."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from attnmass.fitting.captures.arrays import Arrays
from attnmass.fitting.heads.crossval import CrossValidation
from attnmass.fitting.metrics import Bools, Floats, Integers, query_weights, standard_error
from attnmass.fitting.shares.made import MadeSharing, fit_made
from attnmass.fitting.shares.ranking import RankingFit, Sharing, fit_ranking, n_paths


@dataclass(frozen=True, eq=False, slots=True)
class Heads:
    """Indices of the heads that may take part in a rule.

    Attributes:
        near: Those no deeper than what gives the mass: they cost no extra layer.
        every: All that may be selected.
    """

    near: Integers
    every: Integers

    def n_selections(self, n_folds: int, *, made: bool) -> int:
        """How often rules are fitted."""
        if made:
            return 1 + n_folds
        return n_paths(n_folds) * (1 + (len(self.every) > len(self.near)))


def fit_sharing(
    crossed: CrossValidation,
    arrays: Arrays,
    heads: Heads,
    nested: Floats,
    advance: Callable[[], object],
    *,
    made: bool,
) -> tuple[RankingFit, Sharing]:
    """Decide how mass is shared out.

    Args:
        crossed: The selection of the heads that give mass.
        arrays: What was captured, without a null query's mass subtracted.
        heads: Those that may take part.
        nested: nDCG@10 of each query by heads that it had no say in, `[query]`.
        advance: Called once for each path of rules that is fitted.
        made: Whether the queries are made from texts.

    Returns:
        What folds decided, and the `Sharing` that fitted it.
    """
    if made:
        sharing = MadeSharing(arrays, crossed.folds, heads.near, advance)
        return fit_made(crossed, sharing, nested), sharing
    near = Sharing(arrays, crossed.folds, heads.near, advance)
    found = fit_ranking(crossed, near, nested)
    if len(heads.every) == len(heads.near):
        return found, near
    deeper = Sharing(arrays, crossed.folds, heads.every, advance)
    return _decided((found, near), (fit_ranking(crossed, deeper, nested), deeper))


def _decided(
    near: tuple[RankingFit, Sharing], deeper: tuple[RankingFit, Sharing]
) -> tuple[RankingFit, Sharing]:
    """Layers cost time: deeper heads have to be better by more than one standard error."""
    sharing = near[1]
    gain = deeper[0].nested - near[0].nested

    def better(rows: Bools) -> bool:
        sets = sharing.arrays.sets[rows]
        return float(query_weights(sets) @ gain[rows]) > standard_error(gain[rows], sets)

    nested = near[0].nested.copy()
    for fold in set(sharing.folds.tolist()):  # the decision, too, is that of the other folds
        mine = sharing.folds == fold
        if better(~mine):
            nested[mine] = deeper[0].nested[mine]
    fit, fitted = deeper if better(np.ones(len(gain), dtype=bool)) else near
    return replace(fit, nested=nested), fitted
