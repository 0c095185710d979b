"""Attention and retrieval made one order."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnmass.profiles import FuseRule
from attnmass.scoring.fusing import fused, looked_at, retrieved, told

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
        ([0.08, 0.01, -0.02], "embedding", False),  # no sum of these is below zero
        ([1, 2, 3], "ranks", True),
        ([0, 1, 2], "ranks", True),
        ([0.11, 0.37, 0.52], "embedding", True),  # distances, best first
        ([-0.4, -1.1, -1.7], "embedding", False),  # distances that were negated
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
    """The logit is the weighed sum of two numbers, by the weights of the scores' kind."""
    # Attention's logarithms have mean -1 and variance 2/3; the scores mean 16/3 and variance 74/9.
    looked = [1 / math.sqrt(2 / 3 + 0.25), 0.0, -1 / math.sqrt(2 / 3 + 0.25)]
    found = [(score - 16 / 3) / math.sqrt(74 / 9) for score in (2, 9, 5)]
    cosines = fused(ATTENTION, retrieved([0.2, 0.9, 0.5], ATTENTION, "auto"), RULE)
    assert cosines == pytest.approx([a + r for a, r in zip(looked, found, strict=True)])
    lexical = fused(ATTENTION, retrieved([2, 9, 5], ATTENTION, "auto"), RULE)
    assert lexical == pytest.approx([a + 0.5 * r for a, r in zip(looked, found, strict=True)])
    ranks = fused(ATTENTION, retrieved([3, 1, 2], ATTENTION, "rank"), RULE)
    of_rank = [-2 * math.log(rank) for rank in (3, 1, 2)]
    assert ranks == pytest.approx([a + r for a, r in zip(looked, of_rank, strict=True)])


def test_equal_scores_leave_the_order_to_attention() -> None:
    """Where the retriever tells nothing apart, nor more than rounding, attention alone counts."""
    alone = looked_at(ATTENTION)
    for scores in ([0.5] * 3, [0.1 + 0.2, 0.3, 0.3]):
        assert fused(ATTENTION, retrieved(scores, ATTENTION, "similarity"), RULE) == alone
    assert fused([-3.0], retrieved([0.5], [-3.0], "auto"), RULE) == [0.0]


def test_attention_that_is_all_alike_leaves_it_to_the_retriever() -> None:
    """What hardly differs is not blown up to a standard deviation of one."""
    assert looked_at([-2.0] * 4) == [0.0] * 4
    assert max(map(abs, looked_at([-2.0, -2.01, -2.02]))) < 0.03


def test_the_best_stand_apart_alike_however_many_were_fetched() -> None:
    """Scores are measured by the 20 best; those behind them move nothing of these."""
    best = [1.0 - 0.02 * i for i in range(20)]
    few, many = (
        told(retrieved([*best, *rest], [0.0] * (20 + len(rest)), "similarity"))
        for rest in ([], [0.1 - 1e-4 * i for i in range(500)])
    )
    assert many[:20] == few
    # Where these are all alike, by all.
    same = told(retrieved([0.9] * 20 + [0.1], [0.0] * 21, "similarity"))
    assert same[0] > 0 > same[-1]


@given(
    st.lists(st.integers(2, 10**6), min_size=1, max_size=20, unique=True),
    st.integers(2, 1000),
    st.integers(0, 1000),
)
def test_scale_plays_no_part(scores: list[int], factor: int, shift: int) -> None:
    """How far scores stand apart counts among themselves, and not what scale they are on."""
    attention = [float(-i) for i in range(len(scores))]
    one, other = (
        fused(
            attention, retrieved([each * by + to for each in scores], attention, "similarity"), RULE
        )
        for by, to in ((1, 0), (factor, shift))
    )
    assert other == pytest.approx(one, abs=1e-6)


@pytest.mark.parametrize(
    "scores",
    [[1e308, 1.0, -1e308], [1e200, 1e-200, 0.0], [1e-320, 5e-324, 0.0], [1.0, 1e-3, -1e308]],
)
def test_scores_of_any_size_keep_their_order(scores: list[float]) -> None:
    """What a float holds is no error, and nothing that is told apart is taken for alike."""
    found = fused([0.0] * 3, retrieved(scores, [0.0] * 3, "similarity"), RULE)
    assert all(math.isfinite(each) for each in found)
    assert found == sorted(found, reverse=True)
    assert found[0] > found[-1]
