"""What is kept whole has an upper size, and is cut beyond it where that does least harm."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attnmass.text.segmentation import segment
from attnmass.text.segmentation.spans import MAX_SENTENCE, MAX_SPAN
from tests.text.segmentation.pieces import check, kinds, pieces
from tests.text.segmentation.test_contract import PARTS

LINES = [f"<p>Hall {number} shows stones and shells.</p>" for number in range(40)]


def test_html_without_blank_lines_is_cut_at_its_lines() -> None:
    """Each line of a page is a span."""
    text = "\n".join(["<!DOCTYPE html>", "<html><body>", *LINES, "</body></html>"])
    found = kinds(text)
    assert [piece for _, piece in found] == text.split("\n")
    assert {kind for kind, _ in found} == {"html"}


def test_html_in_one_line_is_cut_at_sentences() -> None:
    """A page without any line end is cut as its text is."""
    text = "<div>" + "It was so. Nobody knew. " * 100 + "</div>"
    assert set(pieces(text)[1:-1]) == {"It was so.", "Nobody knew."}


def test_html_in_one_line_is_cut_behind_its_blocks() -> None:
    """No tag is torn: rows and paragraphs are spans, with what closes behind them."""
    rows = [f"<tr><td>City {number}</td><td>{number}-9</td></tr>" for number in range(60)]
    paragraphs = [f"<p>We open at <b>{number}</b>. Come in.</p>" for number in range(60)]
    rows[0], rows[-1] = f"<table>{rows[0]}", f"{rows[-1]}</table>"
    assert pieces("".join(rows + paragraphs)) == rows + paragraphs


@pytest.mark.parametrize("part", [".item{color:red}", "f(1);", '{"id":1,"name":"Ann"},', "a,b,"])
def test_code_in_one_line_is_cut_behind_its_parts(part: str) -> None:
    """What was made small for machines is not cut inside a name."""
    found = pieces(part * 900)
    assert len(found) > 1
    assert all(piece.startswith(part[:1]) and piece[-1] == part[-1] for piece in found[:-1])


def test_what_has_no_space_is_cut_between_characters() -> None:
    """However long it is, an emoji of several code points stays whole."""
    family = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
    assert all(len(piece) % len(family) == 0 for piece in pieces(family * 2_000))


def test_small_blocks_stay_whole() -> None:
    """Up to the upper size a block is one span."""
    code = "```\n" + "x = 1\n\n" * 100 + "```"
    assert len(code) <= MAX_SPAN
    assert kinds(code) == [("code", code)]


def test_code_is_cut_at_blank_lines_and_then_at_lines() -> None:
    """Parts that fit stay whole; a fence goes with the line beside it."""
    part = "def f():\n    return 1"
    long = "\n".join(f"value_{number} = {number}" for number in range(100))
    found = pieces(f"```py\n{part}\n\n{part}\n\n{long}\n```")
    assert found[:2] == [f"```py\n{part}", part]
    assert found[2:] == [*long.split("\n")[:-1], f"{long.splitlines()[-1]}\n```"]


def test_a_tables_head_heads_its_rows() -> None:
    """A table is cut into rows, which its head and the rule under it are kept with."""
    rows = [f"| {number} | hall {number} |" for number in range(100)]
    spans = segment("\n".join(["| no | name |", "|----|------|", *rows, "", "After it."]))
    assert [span.kind for span in spans] == ["heading", *["table"] * 100, "sentence"]
    assert {span.headings for span in spans[1:-1]} == {(0,)}
    assert spans[-1].headings == ()


def test_items_are_cut_at_sentences() -> None:
    """The lines of an item may be wrapped: its sentences are not torn."""
    item = "- " + "It was\n  a long day. " * 100
    assert set(kinds(item)[1:]) == {("list_item", "It was\n  a long day.")}


def test_a_heading_of_a_page_is_none() -> None:
    """What is too large to be repeated over all that is kept heads nothing."""
    spans = segment("# " + "It was so. " * 200 + "\n\nAfter it.")
    assert {span.kind for span in spans} == {"sentence"}
    assert not any(span.headings for span in spans)


@pytest.mark.parametrize("word", ["word ", "x", "今", "e\u0301", "👨‍👩‍👧", "\u0301"])
@pytest.mark.parametrize("before", ["", "    ", "```\n", "<div>\n", "- ", "| a |\n|---|\n| ", "# "])
def test_nothing_is_endless(word: str, before: str) -> None:
    """Text without any end is cut between words, else between characters."""
    text = before + word * (5_000 // len(word))
    spans = segment(text)
    check(text, spans)
    assert max(span.end - span.start for span in spans) <= MAX_SENTENCE
    for span in spans[1:]:
        assert word == "\u0301" or not text[span.start :].startswith(("\u0301", "\u200d"))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from(PARTS), min_size=1, max_size=8).map("".join),
    st.integers(1, 400),
    st.booleans(),
)
def test_any_repetition(part: str, times: int, markdown: bool) -> None:
    """Whatever is repeated, no span is larger than the upper size, and nothing is lost."""
    text = (part * times)[:20_000]
    spans = segment(text, markdown=markdown)
    check(text, spans)
    assert all(span.end - span.start <= MAX_SENTENCE for span in spans)
    assert all(span.end - span.start <= MAX_SPAN for span in spans if span.kind != "sentence")


@pytest.mark.parametrize(
    "part",
    [
        "a, b\n",
        "a,b\n",
        "a,b,c\n",
        'a,"b\n',
        "f(x);\n",
        "  f(x);\n",
        "# a\n",
        "10:00:00 a\n",
        "10:00:00 a\n\n",
        "10:00:00 a\n  b\nc\n",
        "Traceback (most recent call last):\n",
        "Traceback (most recent call last):\n  a\n",
        "a\n  at b(c)\n",
        "goroutine 1 [a]:\n",
        "1\n00:00:01,000 --> 00:00:03,500\n",
        "1\n00:00:01,000 --> 00:00:03,500\n\n\n",
        "a;\tb,\n",
        "import a.",
        "import a, ",
        "if :",
        "if : #",
        "x = ",
        "@a(",
        '"a":',
        "  at a:1:1",
        "  at ",
        "a(",
        "return a;",
    ],
)
def test_lines_that_look_like_data_take_linear_time(part: str) -> None:
    """Lines that almost are a log, a table or code cost what prose costs."""
    text = (part * 60_000)[:60_000]
    started = time.process_time()
    spans = segment(text)
    assert time.process_time() - started < 5  # half a second or so; quadratic is minutes
    check(text, spans)
