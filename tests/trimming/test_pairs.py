"""The choice of spans: requests in pairs, and all of them against the documented order."""

from __future__ import annotations

from itertools import combinations
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attnmass import Trim
from attnmass.trimming import TokenCounter
from attnmass.trimming.select import choose
from tests.trimming.build import candidate, chosen
from tests.trimming.random_chunks import chunks, requests
from tests.trimming.slow import choose_slowly
from tests.trimming.texts import TEXT, article, plain

OPTIONS: dict[str, list[Any]] = {
    "max_tokens": [30, 90, 400],
    "keep_ratio": [0.1, 0.5, 1.0],
    "top_p": [0.2, 0.7, 1.0],
    "min_keep": [0, 2, 5],
    "keep_titles": [True, False],
    "neighbors": [1, 2],
    "resolve_context": [True],
    "separator": ["", "(some text was left out)"],
}


def compare(seed: int, options: dict[str, Any]) -> None:
    """Hold what is chosen of random chunks against the slow way, by a count of characters."""
    several = chunks(Random(seed))
    trim = Trim(**options, on_empty="empty")
    found = choose(several, trim, TokenCounter(len))
    kept = {
        (c, i): found.reasons[c][i]
        for c, spans in enumerate(found.kept)
        for i, span in enumerate(spans)
        if span
    }
    assert kept == choose_slowly(several, trim, len)


@pytest.mark.parametrize("pair", list(combinations(OPTIONS, 2)), ids="-".join)
def test_every_pair_is_in_the_documented_order(pair: tuple[str, str]) -> None:
    """Any two requests give what the docstring's steps give, followed one by one."""
    first, second = pair
    for seed in range(4):
        for one in OPTIONS[first]:
            for other in OPTIONS[second]:
                compare(seed * 31 + len(first), {first: one, second: other})


@settings(max_examples=2000, deadline=None)
@given(st.integers(0, 2**32))
def test_all_together_are_in_the_documented_order(seed: int) -> None:
    """Any requests together give what the docstring's steps give."""
    compare(seed, requests(Random(~seed)))


class TestBudgets:
    """`max_tokens`, `keep_ratio` and `top_p`: the strictest wins."""

    def test_ceiling_and_ratio(self) -> None:
        """Both hold, and each span says which of them it was dropped for."""
        found = chosen(plain(), max_tokens=8, keep_ratio=0.3)
        assert found.spans == [3]
        assert found.reasons == ("keep_ratio",) * 3 + ("score", "keep_ratio")
        found = chosen(plain(), max_tokens=9, keep_ratio=0.65)
        assert found.reasons == ("keep_ratio", "score", "max_tokens", "score", "max_tokens")

    def test_ceiling_and_top_p(self) -> None:
        """The list ends first; what is on it has to fit."""
        found = chosen(plain(), max_tokens=8, top_p=0.7)
        assert found.reasons == ("top_p", "max_tokens", "top_p", "score", "score")

    def test_ratio_and_top_p(self) -> None:
        """The list ends first; what is on it has to keep to the share."""
        found = chosen(plain(), keep_ratio=0.5, top_p=0.7)
        assert found.reasons == ("top_p", "score", "top_p", "score", "keep_ratio")


class TestMinKeep:
    """The least number of spans."""

    def test_over_top_p(self) -> None:
        """The best so many are kept whatever share they have."""
        assert chosen(plain(), min_keep=3, top_p=0.1).spans == [1, 3, 4]

    def test_over_keep_ratio(self) -> None:
        """Likewise whatever part of the text they are."""
        assert chosen(plain(), min_keep=3, keep_ratio=0.1).spans == [1, 3, 4]
        assert chosen(plain(), min_keep=1, keep_ratio=0.1).spans == [3]

    def test_never_over_the_ceiling(self) -> None:
        """The ceiling is hard."""
        assert chosen(plain(), min_keep=5, max_tokens=8).spans == [3, 4]

    def test_what_does_not_fit_makes_place_for_the_next(self) -> None:
        """Where the best span is over the ceiling, the best that fits is kept in its place."""
        found = chosen(plain(), min_keep=1, max_tokens=4, keep_ratio=0.1)
        assert found.reasons == ("keep_ratio", "score", *["keep_ratio"] * 3)
        assert chosen(plain(), min_keep=1, max_tokens=4, top_p=0.1).spans == [1]

    def test_companions_do_not_count(self) -> None:
        """Neighbors, context and titles are not among the so many."""
        found = chosen(plain(), min_keep=2, top_p=0.1, neighbors=1)
        assert [why for why in found.reasons if why == "score"] == ["score"] * 2
        assert chosen(article(), min_keep=2, top_p=0.1).spans == [0, 2, 3, 4]

    @pytest.mark.parametrize("on_empty", ["empty", "cut"])
    def test_zero_may_leave_nothing(self, on_empty: str) -> None:
        """With none, a small share keeps nothing, or the beginning that it allows."""
        found = chosen(plain(), min_keep=0, keep_ratio=0.1, on_empty=on_empty)
        assert found.text == ("" if on_empty == "empty" else "It")


class TestTitles:
    """Headings under budgets."""

    def test_ceiling(self) -> None:
        """What does not fit with its headings does without them if they are not wanted."""
        assert chosen(article(), max_tokens=7).spans == [0, 2]
        assert chosen(article(), max_tokens=7, keep_titles=False).spans == [0, 3]
        assert chosen(article(), max_tokens=8, keep_titles=False).spans == [0, 3, 4]

    def test_separator_between_heading_and_text(self) -> None:
        """What is dropped between a heading and its text is marked."""
        text = chosen(article(), max_tokens=9, separator="[...]").text
        assert text == "# Rivers\n\n[...]\n\n## Ships\n\nShips carry coal."[: len(text)]

    def test_cut_goes_without(self) -> None:
        """Where a span is cut there is no room for its headings."""
        found = chosen(article(), max_tokens=2, on_empty="cut")
        assert found.text == "Ships carry"
        assert found.reasons[3:5] == ("title", "score")


class TestCompanions:
    """Neighbors and context under budgets."""

    def test_neighbors_under_the_ceiling(self) -> None:
        """Each neighbor comes if it fits, and before the next of the list."""
        chunk = candidate(TEXT, [0.1, 0.8, 0.3, 0.0, 0.9])
        assert chosen(chunk, max_tokens=8, neighbors=1).spans == [3, 4]
        assert chosen(chunk, max_tokens=8).spans == [1, 4]
        found = chosen(chunk, max_tokens=8, neighbors=2, top_p=0.4)
        assert found.reasons == ("top_p", "top_p", "top_p", "neighbor", "score")

    def test_neighbors_keep_to_the_ratio(self) -> None:
        """What is exempt itself brings nothing that is not."""
        assert chosen(plain(), keep_ratio=0.1, neighbors=1).spans == [3]

    def test_neighbors_beyond_top_p(self) -> None:
        """Neighbors come whatever mass they have."""
        assert chosen(plain(), top_p=0.3, neighbors=1).reasons == (
            "top_p", "top_p", "neighbor", "score", "neighbor",
        )  # fmt: skip

    def test_context_goes_before_neighbors(self) -> None:
        """Where there is no room for both, it is context that comes."""
        chunk = candidate(TEXT, [0, 0, 0, 0, 1], leans_on={4: 1})
        both = {"resolve_context": True, "neighbors": 1, "top_p": 0.5}
        assert chosen(chunk, **both).reasons == ("top_p", "context", "top_p", "neighbor", "score")
        found = chosen(chunk, **both, max_tokens=8)
        assert found.reasons[1] == "context"
        assert found.spans == [1, 4]

    def test_context_that_does_not_fit(self) -> None:
        """It is left out, and the span that leans on it stays."""
        chunk = candidate(TEXT, [0, 0, 0, 0, 1], leans_on={4: 0})
        assert chosen(chunk, resolve_context=True, top_p=0.5, max_tokens=5).spans == [4]

    def test_context_over_the_next_best(self) -> None:
        """What a better span leans on goes before a span that is not as good."""
        chunk = candidate(TEXT, [0, 0.8, 0, 0, 1], leans_on={4: 2})
        assert chosen(chunk, resolve_context=True, max_tokens=7).spans == [2, 4]
        assert chosen(chunk, max_tokens=7).spans == [1, 4]
