"""Attention and retrieval made one order."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnmass.profiles import FuseRule
from attnmass.scoring.fusing import fused, retrieved

RULE = FuseRule(embedding=(1.0, 1.0), lexical=(1.0, 0.5), ranks=(1.0, 2.0))
ATTENTION = [0.0, -1.0, -2.0]


@pytest.mark.parametrize(
    ("scores", "kind", "turned"),
    [
        ([0.9, 0.4, 0.1], "embedding", False),
        ([0.9, 0.1, 0.4], "embedding", False),
        ([0.2, -0.1, -0.3], "embedding", False),
        ([14.2, 3.0, 0.5], "lexical", False),
        ([0.0325, 0.0161, 0.0159], "ranks", False),  # sums of reciprocal ranks
        ([1, 2, 3], "ranks", True),
        ([0, 1, 2], "ranks", True),
        ([0.11, 0.37, 0.52], "embedding", True),  # distances, best first
        ([41.0, 57.5, 90.1], "embedding", True),
    ],
)
def test_recognised(scores: list[float], kind: str, turned: bool) -> None:
    """What a retriever's scores are is seen from their range and the order in which they came."""
    found = retrieved(scores, ATTENTION, "auto")
    assert (found.kind, found.turned) == (kind, turned)
    better = sorted(range(3), key=lambda i: scores[i] if turned else -scores[i])
    assert sorted(range(3), key=lambda i: -found.scores[i]) == better


def test_attention_tells_a_reversed_list_from_distances() -> None:
    """Similarities that came worst first have the order that attention has, and are not turned."""
    assert not retrieved([0.1, 0.4, 0.9], ATTENTION[::-1], "auto").turned
    assert retrieved([0.1, 0.4, 0.9], ATTENTION, "auto").turned
    assert not retrieved([0.1, 0.4], ATTENTION[:2], "auto").turned  # two are too few to tell


@pytest.mark.parametrize(
    ("kind", "turned"), [("similarity", False), ("distance", True), ("rank", True)]
)
def test_what_the_caller_says_counts(kind: str, turned: bool) -> None:
    """Nothing is recognised where the caller says what the scores are."""
    for scores in ([0.1, 0.4, 0.9], [0.9, 0.4, 0.1], [3.0, 1.0, 2.0]):
        assert retrieved(scores, ATTENTION, kind).turned is turned  # type: ignore[arg-type]


def test_fused_by_hand() -> None:
    """The logit is the weighed sum of two logarithms, by the weights of the scores' kind."""
    found = fused(ATTENTION, retrieved([0.2, 0.9, 0.5], ATTENTION, "auto"), RULE)
    assert found == pytest.approx([-math.log(3), -1.0, -2.0 - math.log(2)])
    lexical = fused(ATTENTION, retrieved([2, 9, 5], ATTENTION, "auto"), RULE)
    assert lexical == pytest.approx([-0.5 * math.log(3), -1.0, -2.0 - 0.5 * math.log(2)])


def test_equal_scores_leave_the_order_to_attention() -> None:
    """Where the retriever tells nothing apart its share is the same for all; so with one chunk."""
    found = fused(ATTENTION, retrieved([0.5] * 3, ATTENTION, "auto"), RULE)
    assert [one - found[0] for one in found] == pytest.approx(ATTENTION)
    assert fused([-3.0], retrieved([0.5], [-3.0], "auto"), RULE) == [-3.0]


@given(st.lists(st.integers(2, 10**6), min_size=1, max_size=20, unique=True), st.integers(2, 1000))
def test_scale_plays_no_part(scores: list[int], factor: int) -> None:
    """Only the order of scores of one kind counts, not on what scale they are."""
    attention = [float(-i) for i in range(len(scores))]
    one, other = (
        fused(attention, retrieved([each * by for each in scores], attention, "similarity"), RULE)
        for by in (1, factor)
    )
    assert other == one
