"""From attention to scores and order: pure functions over arrays, without a model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, pstdev
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from attnmass.layouts.base import QueryAttention


def token_masses(attention: Tensor, weights: Sequence[float]) -> Tensor:
    """Attention mass of each token: the heads' weighted mean.

    Args:
        attention: Mean attention of the query's tokens, `[head, token]`.
        weights: One for each head, summing to 1.

    Returns:
        `[token]`.
    """
    return attention.new_tensor(weights) @ attention


def chunk_masses(attention: QueryAttention, weights: Sequence[float]) -> list[float]:
    """Attention mass of each chunk: the sum over its tokens, between 0 and 1.

    Where there is a null query, what it pays each token is subtracted, and tokens that then lie
    more than two standard deviations below the mean of their chunk are left out, as in-context
    re-ranking has it (Chen et al., arXiv 2410.02642): between -1 and 1.
    """
    if attention.null is not None:
        return [_without_outliers(token_masses(x, weights)) for x in attention.beyond_null]
    return [
        min(1.0, float(token_masses(chunk, weights).double().sum())) for chunk in attention.chunks
    ]


def head_masses(attention: QueryAttention, heads: Sequence[int]) -> list[list[float]]:
    """For each of some heads the attention mass of each chunk, `[head][chunk]`."""
    sums = [chunk[list(heads)].double().sum(dim=1).tolist() for chunk in attention.chunks]
    return [[float(found[i]) for found in sums] for i in range(len(heads))]


def _without_outliers(masses: Tensor) -> float:
    """Sum of token masses but for abnormally low ones."""
    masses = masses.double()
    kept = masses >= masses.mean() - 2 * masses.std(correction=0)
    return float(masses[kept].sum())


def stability(attention: QueryAttention, weights: Sequence[float]) -> float | None:
    """Kendall's tau-b of the orders that two passes give, in [-1, 1].

    Returns:
        `None` where there was one pass, or too few chunks for an order.
    """
    if len(attention.passes) != 2 or len(attention.chunks) < 2:
        return None
    from scipy.stats import kendalltau

    first, second = (chunk_masses(each, weights) for each in attention.passes)
    tau = float(kendalltau(first, second).statistic)
    return tau if math.isfinite(tau) else None


def fuse(masses: Sequence[float], retrieval: Sequence[float], weight: float) -> list[float]:
    """Blend two scores as a weighted sum of their z-scores over the candidates.

    Args:
        masses: Attention mass of each chunk.
        retrieval: The retriever's score of each chunk, higher is better.
        weight: Share of the retrieval score, in [0, 1]; 0.5 weighs both alike.

    Returns:
        One number for each chunk, comparable within this set of candidates only.
    """
    pairs = zip(_standardize(masses), _standardize(retrieval), strict=True)
    return [(1 - weight) * mass + weight * score for mass, score in pairs]


def sigmoid(logit: float) -> float:
    """The logistic function, from a logit to [0, 1]."""
    if logit >= 0:
        return 1 / (1 + math.exp(-logit))
    return math.exp(max(logit, -700.0)) / (1 + math.exp(max(logit, -700.0)))


def order(keys: Sequence[float]) -> list[int]:
    """Indices by falling key; equal keys keep their order."""
    return sorted(range(len(keys)), key=lambda index: -keys[index])


def _standardize(values: Sequence[float]) -> list[float]:
    """Z-scores; zeros where all values are alike."""
    mean = fmean(values)
    spread = pstdev(values, mean)
    if spread == 0 or not math.isfinite(spread):
        return [0.0] * len(values)
    return [(value - mean) / spread for value in values]
