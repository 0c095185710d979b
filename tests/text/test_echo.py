"""Texts that repeat the question."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnmass.profiles.texts import ordinary_rarity
from attnmass.text.echo import Echo

QUESTION = "Who wrote Hamlet?"


def left(query: str, text: str) -> str:
    """What of a text counts."""
    for start, end in reversed(Echo(query, ordinary_rarity()).places(text)):
        text = text[:start] + text[end:]
    return text.strip()


@pytest.mark.parametrize(
    "text",
    [
        "Who wrote Hamlet?",
        "WHO WROTE HAMLET?",
        "who  wrote\nhamlet",
        "Who wrote 'Hamlet'?!",
        "Who wrote Hamlet? " * 10,
        "Who-wrote_Hamlet?",
        "Who wrote Hamlet ?",
        "\u00ab Who wrote Hamlet ? \u00bb",
        "> **Who wrote Hamlet ?**\n\n---",
    ],
)
def test_a_question_alone_counts_for_nothing(text: str) -> None:
    """Whatever its case, its punctuation, its white space, and how often it is said."""
    assert left(QUESTION, text) == ""


def test_what_stands_around_a_question_counts() -> None:
    """An answer below its question counts as it is, and so does what announces the question."""
    assert left(QUESTION, "Q: Who wrote Hamlet?\nA: Shakespeare did.") == "Q: \nA: Shakespeare did."
    announced = "This paragraph is the answer to: who wrote hamlet"
    assert left(QUESTION, announced) == "This paragraph is the answer to:"


DOSE = "What is the dose of ibuprofen for children?"


@pytest.mark.parametrize(
    "text",
    [
        "What is the recommended dose of ibuprofen for children?",
        "For children, what is the dose of ibuprofen?",
        "Dose of ibuprofen for a child?",
        "After whom is the ampere named?\nWhat's the dose of\nibuprofen for a child?\n\n---\n",
    ],
)
def test_questions_one_of_which_is_nearly_the_same_count_for_nothing(text: str) -> None:
    """With some words more or less, in another order, with other endings, and others beside it."""
    assert left(DOSE, text) == ""
    assert left("ibuprofen dose children", text) == ""


@pytest.mark.parametrize(
    "text",
    [
        "What is the dose of paracetamol for adults?",
        "The dose of ibuprofen for children is 10 mg/kg. Is that much?",
        "The dose of ibuprofen for children is 10 mg/kg\n\nIs that much?",
        "Is the dose of ibuprofen for children 10 mg/kg?",
        "Does Nurofen tell what the dose of ibuprofen for children is?",
        "The dose of ibuprofen for children, whose weight is known, is ten milligrams of what they"
        " weigh in the morning before they have eaten and drunk, but who weighs them so?",
    ],
)
def test_other_questions_count(text: str) -> None:
    """They share some words, stand behind an answer, name one, or say much else."""
    assert left(DOSE, text) == text


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("Where was Harris W. Fawell born?", "In what city was Harris W. Fawell born?"),
        ("Ulm has a minster. How high is it?", "Ulm has a minster. How high is it really?"),
    ],
)
def test_full_stops_in_a_question(query: str, text: str) -> None:
    """Abbreviations end no sentence, and a query may say something before it asks."""
    assert left(query, text) == ""


def test_a_question_that_is_nearly_the_same_counts_above_an_answer() -> None:
    """It tells what the answer is on, which in a list of frequent questions may be a "yes"."""
    text = "Q: Is there any dose of ibuprofen for a child?\nA: Yes."
    assert left("Is there a dose of ibuprofen for children?", text) == text


def test_a_part_of_the_question_counts() -> None:
    """A statement has words of the question, and is no echo of it."""
    for text in ("Shakespeare wrote Hamlet.", "Whoever wrote Hamlet", "who wrote Hamletmachine"):
        assert left(QUESTION, text) == text
    query = "what is the capital of France"
    assert left(query, "The capital of France is Paris.") == "The capital of France is Paris."


def test_what_is_no_question_may_be_named() -> None:
    """A topic counts where a text says more of it, and not in a text that says nothing else."""
    query = "history of the Eiffel Tower"
    title = "History of the Eiffel Tower\nIt was built from 1887 to 1889."
    assert left(query, title) == title
    assert left(query, "History of the Eiffel Tower. " * 3) == ""
    assert left("Eiffel Tower", "Eiffel Tower") == "Eiffel Tower"


@pytest.mark.parametrize(
    "query",
    [
        "jharkhand which festival is associated with cattle worship",
        "the removal of temperature in fire fighting method is known as",
        "georgia out of angus thongs and perfect snogging",
    ],
)
def test_what_announces_a_long_query_says_nothing_of_its_subject(query: str) -> None:
    """So many words are no name; a text half of which they are is an echo of the query."""
    announced = f"This paragraph is the answer to: {query}"
    assert left(query, announced) == "This paragraph is the answer to:"
    told = f"{query}. " + "It is told at length in the chapters that follow upon this one. " * 3
    assert left(query, told) == told.strip()


def test_a_short_name_keeps_its_value() -> None:
    """A row of a table has little beside the name of what it tells."""
    assert left("mount everest height", "Mount Everest height: 8,848 m") == (
        "Mount Everest height: 8,848 m"
    )


def test_marks_of_an_answer_are_its_own() -> None:
    """Only marks that stand alone behind a question go with it."""
    assert left(QUESTION, "Who wrote Hamlet ? -5 people") == "-5 people"
    assert left(QUESTION, "Who wrote Hamlet? - Shakespeare") == "Shakespeare"


def test_other_scripts() -> None:
    """A question without spaces between its words, or with another mark, is one all the same."""
    query = (
        "\u8c01\u5199\u4e86\u54c8\u59c6\u96f7\u7279\u8fd9\u90e8\u6709\u540d\u7684\u620f\u5267\uff1f"
    )
    assert left(query, query) == ""
    assert (
        left(query, query + "\n\u838e\u58eb\u6bd4\u4e9a\u3002") == "\u838e\u58eb\u6bd4\u4e9a\u3002"
    )
    assert (
        left("\u00bfQui\u00e9n escribi\u00f3 Hamlet?", "\u00bfQUI\u00c9N ESCRIBI\u00d3 HAMLET?")
        == ""
    )


def test_takes_linear_time() -> None:
    """A megabyte of the worst text is looked through at once."""
    echo = Echo("who who who who who who who wrote hamlet?", ordinary_rarity())
    for text in (
        "who wrote? " * 90_000,
        "\n" * 1_000_000 + "?",
        "\n \n" * 300_000 + "?",
        "who.wrote" * 100_000 + "?",
        "who " * 250_000,
        "who" + " " * 1_000_000,
        "who_" * 250_000,
        "hamlet who " * 90_000,
    ):
        started = time.process_time()
        echo.places(text)
        assert time.process_time() - started < 2


@given(st.text(max_size=60), st.text(max_size=200))
def test_places_are_in_the_text(query: str, text: str) -> None:
    """Whatever the texts are, places are in order, do not overlap, and lie inside."""
    end = 0
    for start, stop in Echo(query, ordinary_rarity()).places(text):
        assert end <= start < stop <= len(text)
        end = stop
