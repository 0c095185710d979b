"""Measures, compared with others' implementations."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import ndcg_score, roc_auc_score

from attnmass.fitting.metrics import (
    auc,
    interval,
    ndcg_at_10,
    query_weights,
    standard_error,
)


@pytest.mark.parametrize("ties", [False, True])
def test_ndcg_is_that_of_scikit_learn(ties: bool) -> None:
    """Also with ties, graded labels, more than ten chunks, and padding."""
    draw = np.random.default_rng(0)
    relevant = draw.integers(0, 4, (40, 14)).astype(float)
    relevant[:, 0] = 1
    scores = draw.integers(0, 4, (40, 14)) / 3 if ties else draw.normal(size=(40, 14))
    sizes = draw.integers(2, 15, 40)
    present = np.arange(14) < sizes[:, None]
    relevant[~present] = 0
    expected = [
        ndcg_score([r[:n]], [s[:n]], k=10) for r, s, n in zip(relevant, scores, sizes, strict=True)
    ]
    assert ndcg_at_10(relevant, scores, present) == pytest.approx(expected, abs=1e-12)


def test_ndcg_by_hand() -> None:
    """First of two is all of it; second is what a logarithm says; all alike is between."""
    relevant, present = np.array([[1.0, 0.0]]), np.ones((1, 2), dtype=bool)
    at_second = 1 / np.log2(3)
    for scores, expected in (([2, 1], 1.0), ([1, 2], at_second), ([0, 0], (1 + at_second) / 2)):
        found = ndcg_at_10(relevant, np.array([scores], dtype=float), present)
        assert found == pytest.approx([expected])


def test_auc_is_that_of_scikit_learn() -> None:
    """Each row has its own, ties counting half."""
    draw = np.random.default_rng(0)
    labels = draw.random(30) < 0.3
    scores = draw.integers(0, 6, (5, 30)).astype(float)
    assert auc(labels, scores) == pytest.approx([roc_auc_score(labels, row) for row in scores])


def test_sets_weigh_alike() -> None:
    """A set of one query weighs as much as one of three."""
    weights = query_weights(["a", "b", "b", "b"])
    assert weights == pytest.approx([1 / 2, 1 / 6, 1 / 6, 1 / 6])
    assert interval(np.array([1.0, 0, 0, 0]), ["a", "b", "b", "b"]).mean == pytest.approx(0.5)


def test_interval_covers_the_mean() -> None:
    """Of 200 samples about 95% of the intervals cover the true mean."""
    draw = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        found = interval(draw.normal(0.3, 1.0, 60))
        assert found.low <= found.mean <= found.high
        covered += found.low <= 0.3 <= found.high
    assert 180 <= covered <= 198
    alike = interval(np.array([0.5, 0.5]))
    assert (alike.low, alike.high) == (0.5, 0.5)


def test_standard_error() -> None:
    """Of one set it is the textbook's; of two alike it is that of the mean of two means."""
    values = np.random.default_rng(0).normal(size=50)
    one = standard_error(values, np.zeros(50, dtype=np.int64))
    assert one == pytest.approx(values.std(ddof=1) / np.sqrt(50))
    two = standard_error(np.tile(values, 2), np.repeat([0, 1], 50))
    assert two == pytest.approx(one / np.sqrt(2))
