"""Whatever the text: spans in order, no overlap, nothing lost, no time lost."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import attnmass.text.segmentation as segmentation
from attnmass.text.segmentation import segment
from tests.test_architecture import HEAVY, imported_by
from tests.text.segmentation.pieces import check

# What blocks, sentences and offsets hang on, and what is likely to upset them.
PARTS = (
    *("\n", "\r\n", "\r", "\n\n", " ", "    ", "\t", "\x0b", "\x0c", "\x1c", "\x85", "\xa0"),
    *("\u2028", "\u3000", "\u200b", "\ufeff", "\x00", "\ud800", "\udfff", "\u0301", "\u202e"),
    *("# ", "## ", "#", "---\n", "===\n", "```", "```py\n", "~~~\n", "> ", ">", "- ", "* ", "+ "),
    *("1. ", "2) ", "1986. ", "|", "| a | b |\n", "|-|-|\n", "<div>\n", "<!--", "-->", "[a]: /b\n"),
    *("[^1]: ", "[", "](", "`", "*", "_", "• ", "— ", "\\", "&amp;"),
    *(
        "A sentence. ",
        "is it? ",
        "Dr. ",
        "e.g. ",
        "U.S. ",
        '"Stop. Now." ',
        "“",
        "”",
        "„",
        "'",
        "(",
    ),
    *("今日は。", "「はい。」", "你好！", "สวัสดี ", "ไทย", "यह है। ", "كيف؟ ", "שלום. ", "Привет. "),
    *("👨‍👩‍👧", "😀.", "é", "e\u0301. ", "ﬁ", "İ", "a" * 50, "word " * 30, ".", "...", "!?"),
)
LANGUAGES = (None, "en", "de", "ja", "ru", "th", "zh-Hant", "pt_BR", "xx", "")


@settings(max_examples=500, deadline=None)
@given(st.text(alphabet=st.characters(), max_size=200), st.booleans())
def test_any_characters(text: str, markdown: bool) -> None:
    """Any string at all is cut into spans with nothing but white space between them."""
    check(text, segment(text, markdown=markdown))


@settings(max_examples=1500, deadline=None)
@given(
    st.lists(st.sampled_from(PARTS), max_size=40).map("".join),
    st.sampled_from(LANGUAGES),
    st.booleans(),
)
def test_any_mixture(text: str, language: str | None, markdown: bool) -> None:
    """So is any mixture of Markdown, scripts, line ends and white space, in any language."""
    check(text, segment(text, language=language, markdown=markdown))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PARTS), max_size=30).map("".join))
def test_line_ends_do_not_matter(text: str) -> None:
    """A text has the same spans with each of the line ends that Markdown knows."""
    text = text.replace("\r", "")
    expected = [text[span.start : span.end] for span in segment(text)]
    for line_end in ("\r\n", "\r"):
        other = text.replace("\n", line_end)
        found = [other[span.start : span.end] for span in segment(other)]
        assert [piece.replace(line_end, "\n") for piece in found] == expected


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PARTS), max_size=30).map("".join))
def test_characters_that_no_library_takes(text: str) -> None:
    """Lone surrogates are cut like the replacement character that stands for them."""
    assert segment(text.replace("\ud800", "\ufffd").replace("\udfff", "\ufffd")) == segment(text)


@pytest.mark.parametrize("text", ["", " ", "\n\r\n\t", "\u2028\x0c\xa0\u3000"])
def test_nothing(text: str) -> None:
    """A text of white space has no spans."""
    assert segment(text) == ()


@pytest.mark.parametrize(
    "part",
    [
        *(
            ">",
            "> ",
            "[",
            "![",
            "`",
            "``` \n",
            "*",
            "_",
            "- ",
            "1. ",
            "#",
            "|",
            "\\",
            "<",
            "(",
            '"',
        ),
        *("“", "“ 'a' (b) A. ", "> a\n", "- a\n", "  - a\n", "• a\n", "— A\n", "a\n---\n", "a\n"),
        *("|a|b|\n", "|-|-|\n", "<div>\n", "<!-- ", "    a\n\n", "\n", "\r", " ", "\t", "\u2028"),
        *(
            "a",
            "a.",
            "A. ",
            "a@b.co. ",
            "。",
            "今日は。",
            "ไทย ",
            "\ud800",
            "[1]: a\n",
            "\n>",
            "2. a\n",
        ),
        "".join("  " * depth + "- a\n" for depth in range(100)),
        "".join(">" * depth + " a\n" for depth in range(100)),
    ],
    ids=repr,
)
def test_hostile_texts(part: str) -> None:
    """Deep nesting and endless repetition take time in proportion to the text, and no stack."""
    text = (part * 40_000)[:40_000]
    started = time.perf_counter()
    spans = segment(text)
    assert time.perf_counter() - started < 5  # a tenth of a second or so; quadratic is minutes
    check(text, spans)


def test_long_prose() -> None:
    """A megabyte of prose in one paragraph is cut as its first page is, in seconds."""
    page = "The fox saw Dr. Smith, e.g. in the U.S. in May. It ran off! Did it? He said no. " * 10
    text = page * (1_000_000 // len(page))
    started = time.perf_counter()
    spans = segment(text)
    assert time.perf_counter() - started < 20
    check(text, spans)
    assert {text[span.start : span.end] for span in spans} == {
        "The fox saw Dr. Smith, e.g. in the U.S. in May.",
        "It ran off!",
        "Did it?",
        "He said no.",
    }


def test_no_sentence_is_endless() -> None:
    """What has no end for thousands of characters is cut where there is white space."""
    text = "word " * 5_000
    spans = segment(text)
    assert len(spans) > 1
    assert max(span.end - span.start for span in spans) <= 4_000
    assert {word for span in spans for word in text[span.start : span.end].split()} == {"word"}


def test_is_light() -> None:
    """Segmentation needs no torch."""
    assert not imported_by("import attnmass.text.segmentation") & HEAVY


def test_public_names() -> None:
    """The public names are these."""
    assert segmentation.__all__ == ["Kind", "Segment", "segment"]
    assert all(getattr(segmentation, name) is not None for name in segmentation.__all__)
