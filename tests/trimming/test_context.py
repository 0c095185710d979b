"""What a span leans on, by attention inside its chunk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from attnmass.trimming import leaning

GROUPS = {0: [0, 1], 2: [2, 3, 4], 3: [5]}


def lean(
    rows: Mapping[int, Sequence[float]], groups: Mapping[int, Sequence[int]] = GROUPS
) -> dict[int, int]:
    """`leaning` on plain lists."""
    return leaning({i: np.array(row, dtype=np.float32) for i, row in rows.items()}, groups)


def test_the_earlier_span_with_most_attention() -> None:
    """The sum over an earlier span's tokens counts, not its best token; spans between are free."""
    rows = {
        0: [0.9, 0.1, 0, 0, 0, 0],
        2: [0.1, 0.1, 0.3, 0.3, 0.2, 0],
        3: [0.3, 0.0, 0.2, 0.1, 0.1, 0.3],
    }
    assert lean(rows) == {2: 0, 3: 2}


def test_itself_and_later_spans_do_not_count() -> None:
    """A span never leans on itself or on what comes after it."""
    assert lean({0: [0, 0, 1, 0, 0, 0], 2: [0, 0.01, 0.5, 0, 0, 0.4]}) == {2: 0}


def test_ties_go_to_the_first() -> None:
    """Of two spans with the same attention it is the earlier one."""
    assert lean({3: [0.25, 0.25, 0.5, 0, 0, 0]})[3] == 0


def test_no_attention_is_no_context() -> None:
    """Where no earlier span gets any, as where none is in the window, there is nothing to add."""
    assert lean({2: [0, 0, 1, 0, 0, 0], 3: [0, 0, 0, 0, 0, 1]}) == {}


def test_nothing_before() -> None:
    """The first span leans on nothing, and no spans lean on nothing."""
    assert lean({0: [1, 1, 0, 0, 0, 0]}) == {}
    assert lean({}, {}) == {}


def test_in_parts() -> None:
    """Spans told one at a time lean on what they lean on when told together."""
    rows = {i: np.random.default_rng(i).random(6).tolist() for i in GROUPS}
    one_by_one = [lean({i: row}) for i, row in rows.items()]
    assert {**one_by_one[0], **one_by_one[1], **one_by_one[2]} == lean(rows)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=6), st.integers(0, 99))
def test_as_the_slow_way(sizes: list[int], seed: int) -> None:
    """Any groups give what a loop over all pairs gives, also groups that share a token."""
    random = np.random.default_rng(seed)
    starts = np.cumsum([0, *sizes]).tolist()
    groups = {
        2 * i: list(range(max(0, start - 1), start + size))
        for i, (start, size) in enumerate(zip(starts, sizes, strict=False))
    }
    rows = {i: random.random(starts[-1]).tolist() for i in groups}
    expected = {
        i: max((j for j in groups if j < i), key=lambda j: sum(rows[i][t] for t in groups[j]))
        for i in list(groups)[1:]
    }
    assert lean(rows, groups) == expected
