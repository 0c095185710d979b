"""Logs, stack traces, subtitles, CSV and code that nothing marks, by files of each kind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from attnmass.text.segmentation import segment
from tests.text.segmentation.pieces import check, kinds, pieces

FILES = Path(__file__).parent / "files"
# By file: kind, first line and number of lines of each span.
EXPECTED = json.loads(FILES.with_name("spans.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", sorted(path.name for path in FILES.iterdir()))
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"], ids=repr)
@pytest.mark.parametrize("markdown", [True, False])
def test_files(name: str, line_end: str, markdown: bool) -> None:
    """Records, frames, cues, rows and parts of code are spans; prose around them is sentences."""
    text = FILES.joinpath(name).read_bytes().decode().replace("\n", line_end)
    check(text, segment(text, markdown=markdown))
    found = [
        [kind, piece.split(line_end)[0], piece.count(line_end) + 1]
        for kind, piece in kinds(text, markdown=markdown)
    ]
    assert found == EXPECTED[name]


@pytest.mark.parametrize("name", ["rows_comma.txt", "rows_tab.txt"])
def test_the_header_heads_its_rows_and_nothing_else(name: str) -> None:
    """The names of the columns are kept with any row, and not with what follows the rows."""
    text = FILES.joinpath(name).read_text()
    spans = segment(text)
    header = next(i for i, span in enumerate(spans) if span.kind == "heading")
    for span in spans:
        assert span.headings == ((header,) if span.kind == "table" else ())


def test_rows_stand_under_the_title_of_the_text() -> None:
    """What heads the text heads the rows, too, above their own header."""
    text = "# Orders\n\nid,city,total\n1,Gent,2\n2,Lyon,3\n\nAll paid."
    found = [(span.kind, span.headings) for span in segment(text)]
    assert found == [
        ("heading", ()),
        ("heading", (0,)),
        ("table", (0, 1)),
        ("table", (0, 1)),
        ("sentence", (0,)),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "Two roads diverged in a wood, and I,\nI took the one, less travelled,\nAnd that, of all,",
        "1,000 people came\n2,000 people left\n3,000 people stayed",
        "He came, saw, won.\nShe came, saw, left.\nThey came, saw, stayed.",
        "The seller pays the tax (a);\nthe buyer pays the fee (b);\nboth pay the rest (c);",
        "class is over;\nfor now (and ever),\nreturn to me, my love,\nif you will",
        "In the spring of 10:00:00 nobody came.\nAt 11 they did.",
        "He was\n    at the corner (of the street)\n    from dusk till dawn",
        "from the house of Kim\nimport of salt ended\nuse of it did not",
        "FROM THE DEEP\nWHERE NO ONE IS\nSET ME FREE",
        "Everything that she saw,\n10:30 it was or later, was red.\nIt stayed that way.",
        "First: read it.\n\nThen: write it.\n\nLast: sleep.",
        "He said, see #1\nand #2 of it.",
    ],
)
def test_prose_stays_prose(text: str) -> None:
    """Verse, clauses, large numbers and wrapped lines with words of a language are no data."""
    assert {kind for kind, _ in kinds(text)} <= {"sentence", "heading"}


@pytest.mark.parametrize(
    "text",
    [
        "- first:\n  run(a);\n  run(b);\n  run(c);\n- second",
        "1. a,b,c\n2. d,e,f\n3. g,h,i",
        "```\na,b,c\n1,2,3\n4,5,6\n```",
        "| a,b | c |\n|---|---|\n| 1,2 | 3 |\n| 1,2 | 3 |",
        "> a,b,c\n> 1,2,3\n> 4,5,6",
    ],
)
def test_what_is_marked_goes_by_its_marks(text: str) -> None:
    """Inside items, fences, tables and quotations nothing is looked for."""
    assert all(kind != "table" or piece.startswith("|") for kind, piece in kinds(text))
    assert not any(kind == "code" and not piece.startswith("```") for kind, piece in kinds(text))


def test_text_that_begins_in_a_fence_is_code_to_its_end() -> None:
    """Where fences are not in pairs, they alone say what is code."""
    code = "run(a);\nrun(b);\n\nrun(c);\n```"
    assert kinds(f"{code}\n\nProse. It is.\n\n```py\nd()\n```")[:2] == [
        ("code", code),
        ("sentence", "Prose."),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "Use System.Drawing.Image to load it.",
        "Call torch.Tensor first.",
        "It is in attnmass.ranker.AttentionRanker now.",
        "See java.util.List.Of and Node.JS for that.",
        "Version 2.Beta of A.B.C came.",
    ],
)
def test_dotted_names_are_one_word(text: str) -> None:
    """A full stop before a capital, without white space between them, ends no sentence."""
    assert pieces(text) == [text]


@pytest.mark.parametrize(
    "text",
    [
        "The country was in a severe crisis.|Indonesia was not.",
        "The famine lasted from 1846 to 1850.|After that it ended.",
        "今天天气很好.|你好吗",
        "It was late...|Right!",
    ],
)
def test_an_end_without_its_space(text: str) -> None:
    """What can be no name is an end all the same, as where a footnote's number was taken out."""
    assert pieces(text.replace("|", "")) == text.split("|")


@pytest.mark.parametrize(
    "text",
    [
        "Avatar: The Last Airbender\nAvatar: The Last Airbender is a series.",
        "Avatar: The Last (second)\nSeason Two (Book Two: Earth) of it began in March, 2006.",
        "Debt: The First 5000 Years\nIt is a book about debt.",
    ],
)
def test_a_title_with_a_colon_stays_a_title(text: str) -> None:
    """One name and a colon is no dialogue."""
    title, first = text.split("\n")
    assert kinds(text) == [("heading", title), ("sentence", first)]


def test_what_is_said_in_code_is_part_of_it() -> None:
    """A docstring longer than the code around it leaves it code."""
    said = "    It is said at length what this does.\n" * 6
    code = f'def load(\n    path: str,\n) -> str:\n    """Read it.\n{said}    """\n    return path'
    assert kinds(code) == [("code", code)]


def test_tex_does_not_end_a_sentence_before_its_space() -> None:
    """A full stop before `~` is that of an abbreviation."""
    text = "See Fig.~1 and Eq.~(2) of it."
    assert pieces(text) == [text]
