"""From attention to masses and scores: pure functions over arrays, without a model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from attnmass.layouts.base import QueryAttention
    from attnmass.profiles import HeadProfile
    from attnmass.profiles.rules import Head


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
    more than two standard deviations below the mean of their chunk are left out, as in in-context
    re-ranking (Chen et al., arXiv 2410.02642): between -1 and 1.
    """
    if attention.null is not None:
        return [_without_outliers(token_masses(x, weights)) for x in attention.beyond_null]
    if attention.sums is not None:
        mixed = attention.sums @ attention.sums.new_tensor(weights)
        return [min(1.0, mass) for mass in mixed.tolist()]
    return [
        min(1.0, float(token_masses(chunk, weights).double().sum())) for chunk in attention.chunks
    ]


def chunk_scores(
    attention: QueryAttention, profile: HeadProfile, heads: Sequence[Head] | None = None
) -> tuple[list[float], list[float]]:
    """The score of each chunk, and the mass that it comes from.

    Args:
        attention: What was read.
        profile: How it is scored.
        heads: The heads that were read; default: the profile's own.

    Returns:
        Scores and masses; the same where the profile has no rule that shares mass out.
    """
    read = profile.all_heads if heads is None else heads
    weights = dict(zip(profile.heads, profile.weights, strict=True))
    masses = chunk_masses(attention, [weights.get(head, 0.0) for head in read])
    if profile.ranking is None or not masses:
        return masses, masses
    indices = [read.index(head) for head in profile.ranking.heads]
    return profile.ranking(masses, head_masses(attention, indices)), masses


def relevances(
    attention: QueryAttention, profile: HeadProfile, words: Sequence[float] | None = None
) -> list[float] | None:
    """How likely each chunk is to hold evidence, in [0, 1].

    A chunk with no token that counts has none.

    Args:
        attention: What was read.
        profile: How it is computed.
        words: The share of the query's words that each chunk says; `None`: they play no part.

    Returns:
        `None` where the profile has no rule, or nothing was compared with a background.
    """
    rule, beside = profile.relevance, attention.beside
    if rule is None or beside is None:
        return None
    masses = beside.chunks[:, [profile.all_heads.index(head) for head in rule.heads]].tolist()
    said = [0.0] * len(masses) if words is None else words
    return [
        rule.of_chunk(mine, share) if any(mine) else 0.0
        for mine, share in zip(masses, said, strict=True)
    ]


def head_masses(attention: QueryAttention, heads: Sequence[int]) -> list[list[float]]:
    """For each of `heads`, the attention mass of each chunk, `[head][chunk]`."""
    if attention.sums is not None:
        found: list[list[float]] = attention.sums[:, list(heads)].T.tolist()
        return found
    sums = [chunk[list(heads)].double().sum(dim=1).tolist() for chunk in attention.chunks]
    return [[float(mine[i]) for mine in sums] for i in range(len(heads))]


def _without_outliers(masses: Tensor) -> float:
    """Sum of token masses, except abnormally low ones."""
    masses = masses.double()
    kept = masses >= masses.mean() - 2 * masses.std(correction=0)
    return float(masses[kept].sum())


def stability(attention: QueryAttention, profile: HeadProfile) -> float | None:
    """Kendall's tau-b of the orders that two passes give, in [-1, 1].

    Returns:
        `None` where there was one pass, or too few chunks for an order.
    """
    if len(attention.passes) != 2 or len(attention.chunks) < 2:
        return None
    from scipy.stats import kendalltau

    first, second = (chunk_scores(each, profile)[0] for each in attention.passes)
    tau = float(kendalltau(first, second).statistic)
    return tau if math.isfinite(tau) else None
