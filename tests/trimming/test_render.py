"""Kept spans as one text."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnmass.trimming.render import join_kept

TEXT = "First one. Second one.\n\nThird one.\tFourth."
FIRST, SECOND, THIRD, FOURTH = (0, 10), (11, 22), (24, 34), (35, 42)


def test_spans_of_the_example() -> None:
    """The places that the other tests use are those of the sentences."""
    found = [TEXT[start:end] for start, end in (FIRST, SECOND, THIRD, FOURTH)]
    assert found == ["First one.", "Second one.", "Third one.", "Fourth."]


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([], ""),
        ([FIRST], "First one."),
        ([FOURTH], "Fourth."),
        ([FIRST, SECOND], "First one. Second one."),
        ([FIRST, SECOND, THIRD, FOURTH], TEXT),
        ([FIRST, THIRD], "First one. …\n\nThird one."),
        ([SECOND, FOURTH], "Second one.\n\n…\tFourth."),
        ([FIRST, FOURTH], "First one. …\tFourth."),
    ],
)
def test_gaps_are_marked(spans: list[tuple[int, int]], expected: str) -> None:
    """Where text is dropped between spans the separator stands; the white space around it stays."""
    assert join_kept(TEXT, spans, "…") == expected


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([FIRST, SECOND], "First one. Second one."),
        ([FIRST, THIRD], "First one.\n\nThird one."),
        ([SECOND, FOURTH], "Second one.\n\nFourth."),
    ],
)
def test_no_separator(spans: list[tuple[int, int]], expected: str) -> None:
    """An empty separator leaves the white space that parts more, so that a block stays a block."""
    assert join_kept(TEXT, spans, "") == expected


def test_scripts_without_spaces() -> None:
    """Where no white space is, none is added around the separator; without one, words are apart."""
    text = "他是人。他来了。他走了。"
    assert join_kept(text, [(0, 4), (8, 12)], "…") == "他是人。…他走了。"
    assert join_kept(text, [(0, 4), (8, 12)], "") == "他是人。 他走了。"
    assert join_kept(text, [(0, 4), (4, 8)], "…") == "他是人。他来了。"


@given(
    st.text(alphabet="ab \n…", max_size=30),
    st.lists(st.integers(0, 30), max_size=8),
    st.sampled_from(["…", "", " [...] "]),
)
def test_all_that_is_kept_is_there_in_order(text: str, places: list[int], mark: str) -> None:
    """Each kept span is in the result verbatim, in order, with one mark for each gap, or none."""
    bounds = sorted({min(place, len(text)) for place in places})
    spans = list(zip(bounds[::2], bounds[1::2], strict=False))
    joined = join_kept(text, spans, mark)
    at = 0
    for start, end in spans:
        at = joined.index(text[start:end], at) + end - start
    gaps = [text[a[1] : b[0]] for a, b in pairwise(spans)]
    longest = sum(len(gap) for gap in gaps) + (len(mark) or 1) * len(gaps)
    assert len(joined) <= sum(end - start for start, end in spans) + longest
    if not any(gap.strip() for gap in gaps) and spans:
        assert joined == text[spans[0][0] : spans[-1][1]]
