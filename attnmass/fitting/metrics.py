"""How good an order is, and how sure that is: pure functions over padded arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

Floats = npt.NDArray[np.floating]
Bools = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]

_BEST = 10
_RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over queries with its 95% bootstrap interval."""

    mean: float
    low: float
    high: float

    def rounded(self) -> list[float]:
        """The ends, rounded as in files."""
        return [round(self.low, 3), round(self.high, 3)]


def ndcg_at_10(relevant: Floats, scores: Floats, present: Bools) -> Floats:
    """Normalised discounted cumulative gain of the ten best; ties count by their average.

    Args:
        relevant: Labels, 0 or above, `[query, chunk]`; each query has at least one above 0.
        scores: Higher is better, `[query, chunk]`.
        present: Where there is a chunk, and not padding, `[query, chunk]`.

    Returns:
        In [0, 1], `[query]`.
    """
    scores = np.where(present, scores, -np.inf)
    gains = np.where(present, relevant, 0.0)
    n_queries, n_chunks = gains.shape
    discounts = np.zeros(n_chunks)
    n_best = min(_BEST, n_chunks)
    discounts[:n_best] = 1 / np.log2(np.arange(n_best) + 2)
    order = np.argsort(-scores, axis=1, kind="stable")
    ordered = np.take_along_axis(scores, order, axis=1)
    gained = np.take_along_axis(gains, order, axis=1)
    starts = np.ones(gains.shape, dtype=np.int64)  # where a group of ties begins
    starts[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    if starts.all():
        found = gained @ discounts
    else:
        groups = np.cumsum(starts.ravel()) - 1
        gain = np.bincount(groups, weights=gained.ravel())
        discount = np.bincount(groups, weights=np.tile(discounts, n_queries))
        size = np.bincount(groups)
        found = ((gain * discount / size)[groups] / size[groups]).reshape(gains.shape).sum(axis=1)
    ideal = -np.sort(-gains, axis=1) @ discounts
    return np.asarray(found / ideal)


def auc(labels: Bools, scores: Floats) -> Floats:
    """Area under ROC of each row of scores, ties counting half.

    Args:
        labels: Which items are wanted, `[item]`; some must be and some not.
        scores: `[..., item]`.

    Returns:
        `[...]`.
    """
    ranks = rankdata(scores, axis=-1)
    n_wanted = int(labels.sum())
    n_others = len(labels) - n_wanted
    total = ranks[..., labels].sum(axis=-1)
    return np.asarray((total - n_wanted * (n_wanted + 1) / 2) / (n_wanted * n_others))


def auc_between(wanted: Floats, others: Floats) -> float:
    """Area under ROC of scores against others, of which the finite ones count; 1 for none."""
    known = others[np.isfinite(others)]
    if not len(known):
        return 1.0
    labels = np.arange(len(wanted) + len(known)) < len(wanted)
    return float(auc(labels, np.concatenate([wanted, known])))


def query_weights(sets: Sequence[str] | Integers) -> Floats:
    """A weight for each query, so that sets count equally, `[query]`; they sum to 1."""
    names, places, counts = np.unique(np.asarray(sets), return_inverse=True, return_counts=True)
    return np.asarray(1 / (len(names) * counts[places]))


def interval(values: Floats, sets: Sequence[str] | Integers | None = None) -> Interval:
    """Mean with its percentile bootstrap interval over queries, drawn within each set.

    Args:
        values: `[query]`.
        sets: The set of each query; sets are weighted equally. Default: all are one set.
    """
    values = np.asarray(values, dtype=np.float64)
    places = np.zeros(len(values), dtype=np.int64)
    if sets is not None:
        places = np.unique(np.asarray(sets), return_inverse=True)[1]
    generator = np.random.default_rng(0)
    means = np.zeros(_RESAMPLES)
    n_sets = int(places.max()) + 1
    for one in range(n_sets):
        mine = values[places == one]
        drawn = generator.integers(0, len(mine), (_RESAMPLES, len(mine)))
        means += mine[drawn].mean(axis=1) / n_sets
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(float(query_weights(places) @ values), float(low), float(high))


def standard_error(values: Floats, sets: Integers) -> float:
    """The standard error of the mean over queries, with sets weighted equally."""
    found = 0.0
    known = np.unique(sets)
    for one in known:
        mine = values[sets == one]
        if len(mine) > 1:
            found += float(mine.var(ddof=1)) / len(mine) / len(known) ** 2
    return float(np.sqrt(found))
