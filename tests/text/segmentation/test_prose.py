"""Plain text: titles, wrapped lines, bullets, dialogues, verse."""

from __future__ import annotations

import pytest

from attnmass.text.segmentation import segment
from tests.text.segmentation.pieces import kinds, pieces

LONG = (
    "It was published in 1994 by a small company, and it was sold in many countries of the world."
)


def test_title_and_text() -> None:
    """A title line is a heading, and what follows stands under it."""
    text = "Demon Dice\nDemon Dice is a game. It has dice."
    assert kinds(text) == [
        ("heading", "Demon Dice"),
        ("sentence", "Demon Dice is a game."),
        ("sentence", "It has dice."),
    ]
    assert [span.headings for span in segment(text)] == [(), (0,), (0,)]


@pytest.mark.parametrize(
    "text",
    [
        f"Demon Dice\n{LONG}",
        f"Demon Dice\n\n{LONG}",
        f"\n  Demon Dice  \r\n{LONG}",
        f"iPhone 5\n{LONG}",
        f"Order of St. John (2001)\n{LONG}",
        f"Demon Dice\n{LONG} {LONG.lower()}",
        f"Demon Dice\nof which {LONG} {LONG}",
        "東京\n" + "東京は日本の首都です。" * 20,
        "Ingredients\n- flour\n- salt",
        "Fares\n| a | b |\n|---|---|\n| 1 | 2 |",
        "Fares\n\n```\ncode\n```",
    ],
)
def test_titles(text: str) -> None:
    """A short first line without an end, broken on purpose, is a title."""
    found = kinds(text)
    assert found[0] == ("heading", text.strip().splitlines()[0].strip())
    assert len(found) > 1
    assert all(span.headings == (0,) for span in segment(text)[1:])


@pytest.mark.parametrize(
    "text",
    [
        "Demon Dice",
        f"Demon Dice!\n{LONG}",
        f"It has dice.\n{LONG}",
        f"of the game\n{LONG}",
        f"In the year of his birth,\n{LONG}",
        f"...\n{LONG}",
        f"{LONG[:-1]}\n{LONG}",
        "The whole of this first line was wrapped at fifty\nSeven characters. And then it went on.",
        "The whole of this first line was wrapped\nsomewhere. And then it went on. "
        + "And on. " * 5,
        "• one\n• two",
        "— One\n— Two",
    ],
)
def test_no_titles(text: str) -> None:
    """A line that ends a sentence, is part of one, or is alone or long, is none."""
    assert "heading" not in [kind for kind, _ in kinds(text)]


def test_wrapped_lines() -> None:
    """A line break inside a paragraph ends no sentence; a blank line does."""
    text = "The fox jumped over\nthe dog. Dr.\nSmith saw\n\nit, and then\nhe left."
    assert pieces(text) == [
        "The fox jumped over\nthe dog.",
        "Dr.\nSmith saw",
        "it, and then\nhe left.",
    ]


def test_blank_lines_may_have_white_space() -> None:
    """Paragraphs end at lines of any white space, with Markdown or without."""
    text = "One of them\n \t\nTwo of them\n\u3000\nthree of them"
    assert pieces(text, markdown=False) == ["One of them", "Two of them", "three of them"]


@pytest.mark.parametrize("bullet", ["•", "◦", "▪", "➤"])
def test_bullets(bullet: str) -> None:
    """A bullet that Markdown does not know makes an item of its line and those after it."""
    text = f"You need:\n{bullet} flour. Not much.\n  Sifted\n{bullet} salt"
    assert kinds(text) == [
        ("heading", "You need:"),
        ("list_item", f"{bullet} flour. Not much.\n  Sifted"),
        ("list_item", f"{bullet} salt"),
    ]


def test_numbers_that_go_on() -> None:
    """The rest of a numbered list after the rest of an item is a list; one number is none."""
    assert kinds("the end of it.\n2. Mix. Stir.\n3. Bake") == [
        ("sentence", "the end of it."),
        ("list_item", "2. Mix. Stir."),
        ("list_item", "3. Bake"),
    ]
    assert kinds("er kam am\n3. Oktober. Dann ging er.", language="de") == [
        ("sentence", "er kam am\n3. Oktober."),
        ("sentence", "Dann ging er."),
    ]


def test_lists_without_markdown() -> None:
    """Items of a list are items in plain text too."""
    text = "1. a. B\n2. c\n\n- d\n* e"
    assert kinds(text, markdown=False) == [
        ("list_item", "1. a. B"),
        ("list_item", "2. c"),
        ("list_item", "- d"),
        ("list_item", "* e"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "— Привет\n— Здравствуй!\n— Как дела?",
        "– Hello there\n– Hi",
        '"Hi."\n"Hello!"\n"Bye."',
        "Anna: Where is he?\nBen: Gone!\nAnna: Well.",
        "- Hi\n- Hello. How are you?",
    ],
)
def test_dialogues(text: str) -> None:
    """Every line of a dialogue is a span."""
    assert pieces(text) == text.split("\n")


def test_dash_inside_a_sentence() -> None:
    """A dash that happens to begin a line, with a small letter after it, begins nothing."""
    text = "He came too late\n— as he always did, and left."
    assert pieces(text) == [text]


def test_address_and_verse_stay_whole() -> None:
    """Lines without ends stay together: when in doubt, nothing is torn apart."""
    verse = "Two roads diverged in a yellow wood,\nAnd sorry I could not travel both\nAnd be one"
    assert pieces(verse) == [verse]
    address = "Jane Doe\n12 High Street\nSpringfield, IL 62704"
    assert pieces(address) == ["Jane Doe", "12 High Street\nSpringfield, IL 62704"]


def test_long_lines_without_ends() -> None:
    """What goes on for more lines than a sentence can is cut into them, as a log is."""
    lines = [f"1970-01-01 00:00:{second:02d} service started" for second in range(40)]
    assert pieces("\n".join(lines)) == lines


def test_marks_without_markdown() -> None:
    """Without Markdown, its marks are text like any other."""
    text = "# No heading. Yes.\n\n> No quote. Yes.\n\n| No |\nTable"
    assert kinds(text, markdown=False) == [
        ("sentence", "# No heading."),
        ("sentence", "Yes."),
        ("sentence", "> No quote."),
        ("sentence", "Yes."),
        ("sentence", "| No |\nTable"),
    ]
