"""Numbers after spans, without a framework."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnmass import Chunk
from attnmass.results.citations import MARKERS, Cited, Passage, cite, ranked_passages
from tests.contract.stub import StubRanker

TEXT = "One is first. Two is second. Three is third."
SPANS = [("a", 0, 13), ("b", 29, 44)]


def test_markers_follow_their_spans() -> None:
    """Numbers run on over the passages, the separator stays where text was dropped."""
    cited = cite([Passage(TEXT, SPANS), Passage("Four."), Passage(TEXT, [("c", 14, 28)])])
    assert cited.text == (
        "One is first. [1] … Three is third. [2]\n\nFour. [3]\n\nTwo is second. [4]"
    )
    assert [(s.number, s.chunk, s.start, s.end) for s in cited.sources] == [
        (1, 0, 0, 13), (2, 0, 29, 44), (3, 1, 0, 5), (4, 2, 14, 28),
    ]  # fmt: skip
    assert [source.text for source in cited.sources] == [
        "One is first.", "Three is third.", "Four.", "Two is second.",
    ]  # fmt: skip


def test_what_is_known_of_a_passage_comes_along() -> None:
    """Ids, offsets in the parent and metadata are on each source."""
    passage = Passage(
        TEXT, SPANS, chunk_id="node", parent_id="doc", offset=10, metadata={"page": 3}
    )
    second = cite([passage]).sources[1]
    assert (second.chunk_id, second.parent_id, second.metadata) == ("node", "doc", {"page": 3})
    assert (second.doc_start, second.doc_end) == (39, 54)


def test_several_lines_get_a_line_for_the_marker() -> None:
    """The fence of a code block and the rows of a table stay as they are."""
    text = "See:\n\n```\nx = 1\n```\n\nDone."
    spans = [("a", 0, 4), ("b", 6, 19), ("c", 21, 26)]
    assert cite([Passage(text, spans)]).text == "See: [1]\n\n```\nx = 1\n```\n[2]\n\nDone. [3]"


def test_a_ranking_can_be_cited() -> None:
    """Without a framework, passages come from a ranking and what was ranked."""
    chunks = [Chunk("A river. A theory. A boat."), "Trains. The theory. Winter."]
    ranking = StubRanker(hot="theory").rank(
        "What?", [Chunk(c) if isinstance(c, str) else c for c in chunks], trim=_half()
    )
    cited = cite(ranked_passages(ranking, chunks))
    assert cited.text == "A theory. [1]\n\nThe theory. [2]"
    assert [source.id for source in cited.sources] == [
        chunk.kept_spans[0].id for chunk in ranking.chunks
    ]
    whole = StubRanker().rank("What?", [Chunk("A river.")])
    assert cite(ranked_passages(whole, ["A river."])).text == "A river. [1]"


def _half() -> Any:
    from attnmass import Trim

    return Trim(top_p=0.5)


@pytest.mark.parametrize(
    ("answer", "cited", "unknown"),
    [
        ("So it is [2], [3].", [2, 3], []),
        ("[3][1] and [3] again", [3, 1], []),
        ("A list [1, 3; 2].", [1, 3, 2], []),
        ("None [0] of [4] these [99999999999].", [], [0, 4]),
        ("Nothing at all, f(1), {2}, [x], [1.5], [].", [], []),
        ("Spaces [ 2 ].", [2], []),
    ],
)
def test_answers_are_resolved(answer: str, cited: list[int], unknown: list[int]) -> None:
    """Sources come in order of their first mention, numbers of none are told apart."""
    found = cite([Passage("One."), Passage("Two."), Passage("Three.")])
    assert [source.number for source in found.resolve(answer)] == cited
    assert list(found.unknown(answer)) == unknown


def test_labels_may_be_left_out_in_a_list() -> None:
    """`[S1, S2]` and `[S1, 2]` are both read."""
    found = cite([Passage("One."), Passage("Two.")], marker="[S{n}]")
    for answer in ("[S1, S2]", "[S1, 2]", "[S1] [S2]"):
        assert found.resolve(answer) == found.sources
    assert found.resolve("[1]") == ()


@pytest.mark.parametrize(
    ("text", "marker"),
    [
        ("Plain.", "[{n}]"),
        ("Footnote.[1]", "[S{n}]"),
        ("Footnotes.[12, 13]", "[S{n}]"),
        ("Both [7] and [S9].", "⟦{n}⟧"),
        ("Not a number [a] [] [1a].", "[{n}]"),
    ],
)
def test_a_marker_is_chosen_that_the_texts_do_not_have(text: str, marker: str) -> None:
    """The text stays verbatim; the marker gives way."""
    cited = cite([Passage("First."), Passage(text)])
    assert cited.marker == marker
    assert cited.text == f"First. {marker.format(n=1)}\n\n{text} {marker.format(n=2)}"


def test_a_marker_of_the_callers_is_not_replaced() -> None:
    """Where it would be mistaken, that is an error that says to pass another."""
    with pytest.raises(ValueError, match=r"reads like '\[\{n\}\]': pass another marker"):
        cite([Passage("Footnote.[1]")], marker="[{n}]")
    with pytest.raises(ValueError, match="pass another marker"):
        cite([Passage("[1] [S1] ⟦1⟧")])
    assert cite([Passage("[1] [S1] ⟦1⟧")], marker="<#{n}>").text == "[1] [S1] ⟦1⟧ <#1>"


@pytest.mark.parametrize(
    "marker", ["", "[n]", "{n}", "[{n}", "{n}]", "[1{n}]", "[{n}{n}]", "[{n},]"]
)
def test_malformed_markers(marker: str) -> None:
    """A marker needs its number once, between characters that cannot be part of it."""
    with pytest.raises(ValueError, match="marker must have"):
        cite([Passage("One.")], marker=marker)


def test_blank_passages_are_counted_but_not_cited() -> None:
    """`chunk` is the position among all that were passed."""
    cited = cite([Passage(""), Passage(" \n"), Passage("One.")])
    assert [source.chunk for source in cited.sources] == [2]
    assert cite([]) == Cited("", (), "[{n}]")


def test_results_are_frozen() -> None:
    """What was cited cannot be changed by accident."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        cite([Passage("One.")]).text = "Two."  # type: ignore[misc]


@given(st.lists(st.text(max_size=30), max_size=5))
def test_texts_can_be_read_back(texts: list[str]) -> None:
    """Whatever the texts, all markers in the result are ours, and without them it is the texts."""
    cited = cite([Passage(text) for text in texts])
    numbers = [source.number for source in cited.resolve(cited.text)]
    assert numbers == list(range(1, len(cited.sources) + 1))
    assert cited.marker in MARKERS
    bare = cited.text
    for number in numbers:
        bare = re.sub(r"[ \n]" + re.escape(cited.marker.format(n=number)), "", bare, count=1)
    assert bare == "\n\n".join(text for text in texts if text.strip())
