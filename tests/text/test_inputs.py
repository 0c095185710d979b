"""What the caller passed in, as the ranker uses it."""

from __future__ import annotations

from enum import Enum
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

from attnmass import Chunk
from attnmass.text.inputs import as_queries, read_chunks, read_queries
from attnmass.text.prompt import chunk_text
from attnmass.text.tokens import PlainTokenizer
from tests.tiny import tiny_tokenizer

PLAIN = PlainTokenizer(tiny_tokenizer())


def knows_letters_only() -> PlainTokenizer:
    """A tokenizer that gives nothing for what it does not know."""
    tokenizer = Tokenizer(models.WordLevel({"known": 0}, unk_token="[UNK]"))
    tokenizer.model = models.BPE({"a": 0, "b": 1}, [])
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return PlainTokenizer(SimpleNamespace(backend_tokenizer=tokenizer, chat_template=None))


def test_texts_and_chunks() -> None:
    """Texts become chunks, chunks stay what they are, each at its place."""
    given: list[Any] = ["one", Chunk("two", title="Title")]
    inputs = read_chunks(given, PLAIN)
    assert inputs.chunks == (Chunk("one"), given[1])
    assert [chunk.text for chunk in inputs.chunks] == ["one", "two"]
    assert list(inputs.tokens) == [0, 1]
    assert inputs.skipped == {}


def test_what_is_not_read_says_why() -> None:
    """Blank chunks, and what is no text, are kept by index with a reason."""
    given: list[Any] = ["", "one", None, " \n\u3000", 5, Chunk("", title="T"), Chunk(None), b"two"]  # type: ignore[arg-type]
    inputs = read_chunks(given, PLAIN)
    assert list(inputs.tokens) == [1]
    assert inputs.skipped == {
        0: "blank",
        2: "not text",
        3: "blank",
        4: "not text",
        5: "blank",
        6: "not text",
        7: "not text",
    }
    assert inputs.chunks[6].text == ""
    assert len(inputs.chunks) == 8


def test_text_without_tokens() -> None:
    """What the tokenizer makes nothing of is not read, and keeps its text."""
    inputs = read_chunks(["ab", "xyz"], knows_letters_only())
    assert list(inputs.tokens) == [0]
    assert inputs.skipped == {1: "no tokens"}
    assert inputs.chunks[1].text == "xyz"


def test_one_string_for_several() -> None:
    """A string is no sequence of texts."""
    with pytest.raises(TypeError, match=r"pass \[text\]"):
        read_chunks("text", PLAIN)


def test_none_at_all() -> None:
    """No chunks are no error."""
    inputs = read_chunks([], PLAIN)
    assert (inputs.chunks, inputs.tokens, inputs.skipped) == ((), {}, {})


@settings(max_examples=100, deadline=None)
@given(
    st.text(max_size=20),
    st.none() | st.text(max_size=10),
    st.text(max_size=10),
    st.text(max_size=10),
)
def test_where_the_own_text_begins(text: str, title: str | None, before: str, after: str) -> None:
    """`start` is where the chunk's own text is in what the model reads of it."""
    chunk = Chunk(text, title, before, after)
    start = read_chunks([chunk], PLAIN).start(0)
    read = chunk_text(chunk)
    assert read[start : start + len(text)] == text
    assert read == ("" if title is None else f"{title}\n") + before + text + after


def test_tokens_are_those_of_what_is_read() -> None:
    """Title, text and what stands around it are tokenized as one text."""
    chunk = Chunk("text", "Title", "before ", " after")
    inputs = read_chunks([chunk], PLAIN)
    assert inputs.tokens[0] == PLAIN.content(["Title\nbefore text after"])[0]


@pytest.mark.parametrize("query", ["", " ", "\u2003\n"])
def test_blank_queries(query: str) -> None:
    """A blank query is an error that shows it."""
    with pytest.raises(ValueError, match="empty or blank"):
        as_queries(["good", query])


@pytest.mark.parametrize("query", [None, 5, b"who?", ["who?"]])
def test_queries_of_another_type(query: Any) -> None:
    """A query that is no string is an error with its type."""
    with pytest.raises(TypeError, match=f"not {type(query).__name__}"):
        as_queries([query])
    with pytest.raises(TypeError, match=r"pass \[query\]"):
        as_queries("who?")


class Named(str, Enum):
    """Texts with names: each member is a `str`, and formats and hashes as its name."""

    ONE = "The first text."
    TWO = "Who wrote it?"


class Odd(str):
    """A `str` that says other things of itself than its characters."""

    def __str__(self) -> str:
        return "odd"

    def __format__(self, spec: str) -> str:
        return "odd"

    def __len__(self) -> int:
        return 1

    def strip(self, chars: str | None = None) -> str:
        """Nothing of it."""
        return "odd"


@pytest.mark.parametrize("kind", [Named, Odd])
def test_texts_are_their_characters(kind: Any) -> None:
    """What is a kind of `str` is read as its characters, wherever text is passed."""
    one, two = kind(Named.ONE.value), kind(Named.TWO.value)
    chunks = [one, Chunk(one, one, two, two), one]
    said, asked = "The first text.", "Who wrote it?"
    found = read_chunks(chunks, PLAIN)
    known = read_chunks([said, Chunk(said, said, asked, asked), said], PLAIN)
    assert found == known
    texts = [text for each in found.chunks for text in (each.text, each.before, each.after)]
    assert {type(text) for text in [*texts, found.chunks[1].title]} == {str}
    assert [type(each) for each in as_queries([two])] == [str]
    assert as_queries([two]) == [asked]


def test_errors_show_the_beginning() -> None:
    """A blank query of any length leaves the message a line."""
    with pytest.raises(ValueError, match="empty or blank") as caught:
        as_queries(["\n" * 10_000])
    assert len(str(caught.value)) < 100


def test_query_without_tokens() -> None:
    """A query that the tokenizer makes nothing of is an error."""
    with pytest.raises(ValueError, match="no tokens for this model: 'xyz'"):
        read_queries(["ab", "xyz"], knows_letters_only())


def test_white_space_around_a_query() -> None:
    """It plays no part."""
    assert read_queries(["  who? \n"], PLAIN) == read_queries(["who?"], PLAIN)
