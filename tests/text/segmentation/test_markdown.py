"""Markdown's blocks stay whole, and prose that only looks like them stays prose."""

from __future__ import annotations

import pytest

from attnmass.text.segmentation import segment
from tests.text.segmentation.pieces import kinds, pieces

TABLE = "| a. B | c |\n|------|---|\n| d. E | f |"


@pytest.mark.parametrize(
    ("kind", "block"),
    [
        ("code", "```py\nx = 1. Foo\n\n# no heading\n```"),
        ("code", "~~~\n```\n- x\n~~~"),
        ("code", "```py\nunclosed. Yes\n\nmore"),
        ("code", "for x in y:\n        print(x)\n\n    done()"),
        ("table", TABLE),
        ("table", "a. B | c\n---|---\nd | e"),
        ("table", "| lost. Its | head |\n| d. E | f |"),
        ("table", "lost. Its | beginning |\n| d. E | f |"),
        ("heading", "# A heading. Of two"),
        ("heading", "### Closed ###"),
        ("heading", "Setext\n======"),
        ("heading", "Setext\n------"),
        ("list_item", "- item. Two sentences.\n  Wrapped"),
        ("list_item", "1. item\n\n   With a paragraph. And more.\n\n   ```\n   code\n   ```"),
        ("list_item", "* outer\n  - inner. One.\n    1. deep\n  - inner"),
        ("list_item", "- [ ] a task"),
        ("html", "<div>\nA. B\n</div>"),
        ("html", "<!-- A. B\n\nC -->"),
        ("rule", "***"),
        ("rule", "- - -"),
    ],
)
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_blocks(kind: str, block: str, line_end: str) -> None:
    """A block is one span of its kind, with prose around it or none."""
    indent = "    " if block.startswith("for") else ""
    alone = (indent + block).replace("\n", line_end)
    block = block.replace("\n", line_end)
    assert kinds(alone) == [(kind, block)]
    around = f"Before it. Yes.{line_end * 2}{alone}"
    assert kinds(around) == [("sentence", "Before it."), ("sentence", "Yes."), (kind, block)]
    if "unclosed" not in block:
        after = f"{alone}{line_end * 2}And so on. Yes."
        assert kinds(after) == [(kind, block), ("sentence", "And so on."), ("sentence", "Yes.")]


def test_headings() -> None:
    """Each segment knows the headings above it, outermost first."""
    text = "# A\n\na.\n\n## B\n\nb.\n\n### C\nc.\n\n## D\n\nd.\n\nE\n=\n\ne."
    found = {text[span.start : span.end]: span.headings for span in segment(text)}
    assert found == {
        "# A": (),
        "a.": (0,),
        "## B": (0,),
        "b.": (0, 2),
        "### C": (0, 2),
        "c.": (0, 2, 4),
        "## D": (0,),
        "d.": (0, 6),
        "E\n=": (),
        "e.": (8,),
    }


def test_title_is_above_all_headings() -> None:
    """The title on the first line stands above every heading of the text."""
    spans = segment("The Title\n\n# A\n\na.\n\n# B\n\nb.")
    assert [span.headings for span in spans] == [(), (0,), (0, 1), (0,), (0, 3)]


def test_each_item_of_a_list() -> None:
    """Every item of a list is a span, whatever the space between items."""
    assert kinds("- a. B\n- c\n\n- d\n  - e\n\nNo item.") == [
        ("list_item", "- a. B"),
        ("list_item", "- c"),
        ("list_item", "- d\n  - e"),
        ("sentence", "No item."),
    ]


def test_quotes() -> None:
    """A block quote has sentences; its marks go with them."""
    text = "> One is\n> wrapped. Two.\n> Three.\n>\n> > Four. Five\n\nSix."
    assert pieces(text) == [
        "> One is\n> wrapped.",
        "Two.",
        "> Three.",
        ">\n> > Four.",
        "Five",
        "Six.",
    ]


def test_blocks_in_quotes() -> None:
    """In a quote, too, blocks are whole, and a heading heads the quote only."""
    text = "# A\n\n> # B\n> - a. B\n> - c\n>\n> ```\n> d. E\n> ```\n> f.\n\ng."
    spans = segment(text)
    assert kinds(text) == [
        ("heading", "# A"),
        ("heading", "> # B"),
        ("list_item", "> - a. B"),
        ("list_item", "> - c"),
        ("code", ">\n> ```\n> d. E\n> ```"),
        ("sentence", "> f."),
        ("sentence", "g."),
    ]
    assert spans[1].headings == ()
    assert spans[5].headings == (1,)
    assert spans[6].headings == (0,)


def test_definitions_are_not_lost() -> None:
    """Link references and footnotes, which are not rendered, are text."""
    text = "See [it][1].\n\n[1]: http://example.org/a?b=c\n\n[^2]: A note. And more."
    assert pieces(text) == [
        "See [it][1].",
        "[1]: http://example.org/a?b=c",
        "[^2]: A note.",
        "And more.",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1986. A great year. The best.", ["1986. A great year.", "The best."]),
        ("3) Only one. Of many.", ["3) Only one.", "Of many."]),
        ("> 7. Only one. Of many.", ["> 7. Only one.", "Of many."]),
        ("#hashtag is here. Yes.", ["#hashtag is here.", "Yes."]),
        ("    It was dark. It was late.", ["It was dark.", "It was late."]),
        (
            "    It was dark. The rain fell\non us. So.",
            ["It was dark.", "The rain fell\non us.", "So."],
        ),
        ("A *b* c_d. `E. F` g* h.", ["A *b* c_d.", "`E. F` g* h."]),
        ("He won. He lost.\n-----", ["He won.", "He lost.", "-----"]),
        ("one line\nTwo lines. End\n=====\nYes.", ["one line\nTwo lines.", "End", "=====", "Yes."]),
        ("-5 degrees. Cold.", ["-5 degrees.", "Cold."]),
        ("2 < 3. So.\n<3 you.", ["2 < 3.", "So.", "<3 you."]),
    ],
)
def test_prose_that_looks_like_markdown(text: str, expected: list[str]) -> None:
    """Years, hashtags, indented paragraphs and lines of dashes do not swallow prose."""
    assert pieces(text) == expected


def test_real_lists_are_no_accident() -> None:
    """A list that goes on from an earlier chunk is one; a first item alone is one too."""
    assert [kind for kind, _ in kinds("7. A. B\n8. C. D")] == ["list_item", "list_item"]
    assert [kind for kind, _ in kinds("1. A. B")] == ["list_item"]


@pytest.mark.parametrize(
    "tail", ["", "\n\n```\nc. D\n```\n\nMore.", "\n\n```py\nc. D\n```\n\nMore.", "\n\n```py\nc. D"]
)
def test_text_that_begins_in_code(tail: str) -> None:
    """Code whose opening fence is in an earlier chunk is code, and what follows it is not."""
    code = "    return x. Y\n\n# no heading\nend\n```"
    found = kinds(f"{code}\n\nProse. It is.{tail}")
    assert found[:3] == [("code", code.strip()), ("sentence", "Prose."), ("sentence", "It is.")]
    if tail:
        assert found[3][0] == "code"
    if tail.endswith("More."):
        assert found[4] == ("sentence", "More.")


@pytest.mark.parametrize("above", ["See this:", "So it is.", "Prose\n"])
def test_text_that_ends_in_code(above: str) -> None:
    """Code whose closing fence is in a later chunk is code from its opening fence on."""
    found = kinds(f"{above}\n```\nx = 1\n\ny = 2")
    assert found[-1] == ("code", "```\nx = 1\n\ny = 2")
    assert found[0][0] != "code"


def test_deeper_than_the_parser_goes() -> None:
    """Text in more quotes than the parser follows is prose, and not lost."""
    text = ">" * 100 + " One. Two.\n\nThree."
    assert pieces(text) == [">" * 100 + " One.", "Two.", "Three."]


def test_marks_alone() -> None:
    """Marks without text are a span: nothing that is not white space is lost."""
    assert kinds("> >\n>") == [("sentence", "> >\n>")]
    assert kinds("One.\n\n>") == [("sentence", "One.\n\n>")]


def test_table_ends_where_it_ends() -> None:
    """A table ends at a blank line."""
    assert kinds(f"{TABLE}\n\nProse.") == [("table", TABLE), ("sentence", "Prose.")]
