"""How good an order is, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import bootstrap
from sklearn.metrics import ndcg_score


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over queries with its 95% bootstrap interval."""

    mean: float
    low: float
    high: float


def ndcg_at_10(relevant: Sequence[int], scores: Sequence[float]) -> float:
    """Normalised discounted cumulative gain of the ten best; ties count by their average."""
    return float(ndcg_score([list(relevant)], [list(scores)], k=10))


def ndcg_of_ranks(ranks: Sequence[int | None], k: int = 10) -> float:
    """The same for a list in which what is relevant has these places, from 1; `None`: it has none.

    What the list lacks still counts in the best possible order.
    """
    gained = sum(1 / math.log2(1 + rank) for rank in ranks if rank is not None and rank <= k)
    return gained / sum(1 / math.log2(1 + best) for best in range(1, min(k, len(ranks)) + 1))


def recall_of_ranks(ranks: Sequence[int | None], k: int) -> float:
    """Share of what is relevant, counting at most `k`, that has a place among the first `k`."""
    return sum(rank is not None and rank <= k for rank in ranks) / min(k, len(ranks))


def recall_at_2(relevant: Sequence[int], scores: Sequence[float]) -> float:
    """Share of the supporting chunks, counting at most two, that are among the two best."""
    best = sorted(range(len(scores)), key=lambda i: -scores[i])[:2]
    return sum(relevant[i] for i in best) / min(2, sum(relevant))


def interval(values: Sequence[float]) -> Interval:
    """Mean and bootstrap interval (BCa, 2,000 resamples) over queries."""
    data = np.asarray(values)
    mean = float(data.mean())
    if np.all(data == data[0]):
        return Interval(mean, mean, mean)
    found = bootstrap((data,), np.mean, n_resamples=2000, rng=np.random.default_rng(0))
    return Interval(
        mean, float(found.confidence_interval.low), float(found.confidence_interval.high)
    )


def cell(values: Sequence[float], *, count: bool = True) -> str:
    """A mean with its interval and the number of queries, as tables show it."""
    if not values:
        return ""
    found = interval(values)
    n = f", n = {len(values)}" if count else ""
    return f"{found.mean:.3f} ({found.low:.2f} to {found.high:.2f}{n})"
