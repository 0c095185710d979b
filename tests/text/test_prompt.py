"""The prompt is cut where chunks and query go, in the model's own template."""

from __future__ import annotations

import pytest

from attnmass import Chunk, UnsupportedModelError
from attnmass.text.prompt import Prompt, chunk_text, tokenize_prompt
from attnmass.text.tokens import PlainTokenizer
from tests.tiny import tiny_tokenizer


def _decoded(chat: bool) -> tuple[str, str]:
    tokenizer = tiny_tokenizer(chat=chat)
    tokens = tokenize_prompt(Prompt(), tokenizer, PlainTokenizer(tokenizer))
    return tokenizer.decode(tokens.before), tokenizer.decode(tokens.between)


def test_chat_template_is_kept() -> None:
    """The user turn opens before the chunks, and the query's label comes last."""
    before, between = _decoded(chat=True)
    assert before == f"<|im_start|>user\n{Prompt().announce}"
    assert between.startswith("\n\nPlease find information")
    assert between.endswith("Query: ")


def test_without_a_template_the_first_token_is_kept() -> None:
    """A model without chat template gets its first token and the same wording."""
    before, between = _decoded(chat=False)
    assert before == f"<|endoftext|>{Prompt().announce}"
    assert between.endswith("Query: ")


def test_template_that_changes_with_the_date() -> None:
    """A template that prints the date gets a fixed one: scores do not change overnight."""
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = "{{ date_string }}|" + str(tokenizer.chat_template)
    tokens = tokenize_prompt(Prompt(), tokenizer, PlainTokenizer(tokenizer))
    assert tokenizer.decode(tokens.before).startswith("26 Jul 2024|")


def test_template_that_loses_the_user_turn() -> None:
    """A template that does not repeat the user's text is an error that says so."""
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = "hello"
    with pytest.raises(UnsupportedModelError, match="does not repeat"):
        tokenize_prompt(Prompt(), tokenizer, PlainTokenizer(tokenizer))


def test_template_that_fails() -> None:
    """A template that raises is an error that says what the template said."""
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = "{{ raise_exception('only with a system turn') }}"
    with pytest.raises(UnsupportedModelError, match="only with a system turn"):
        tokenize_prompt(Prompt(), tokenizer, PlainTokenizer(tokenizer))


def test_title_goes_before_the_text() -> None:
    """The model reads a title on a line of its own."""
    assert chunk_text(Chunk("text", title="title")) == "title\ntext"
    assert chunk_text(Chunk("text")) == "text"
