"""Metrics of orders, on cases worked by hand and beside scikit-learn's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.metrics import ndcg_at_10, ndcg_of_ranks, recall_of_ranks


@given(st.lists(st.booleans(), min_size=12, max_size=30).filter(any))
def test_ndcg_of_ranks_is_that_of_scores(relevant: list[bool]) -> None:
    """Of a list without ties, places and scores give the same."""
    ranks = [place for place, yes in enumerate(relevant, start=1) if yes]
    scores = [-float(place) for place in range(len(relevant))]
    expected = ndcg_at_10([int(yes) for yes in relevant], scores)
    assert ndcg_of_ranks(ranks) == pytest.approx(expected)


def test_what_a_list_lacks_counts_against_it() -> None:
    """What was not handed over cannot be found by who orders what was."""
    assert ndcg_of_ranks([1, None]) == pytest.approx(1 / (1 + 0.63093), rel=1e-4)
    assert ndcg_of_ranks([11]) == 0.0
    assert recall_of_ranks([1, None], 5) == 0.5
    assert recall_of_ranks([2, None], 1) == 0.0
    assert recall_of_ranks([1, 7], 1) == 1.0  # no list of one has two
