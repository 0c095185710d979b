"""Counting with the reader's tokenizer."""

from __future__ import annotations

import pickle
from types import SimpleNamespace
from typing import Any

import pytest
from tokenizers import Encoding

from attnmass.trimming import TokenCounter
from tests.tiny import tiny_tokenizer
from tests.trimming.build import Tiktoken, bpe, sentencepiece_bpe, unigram, wordpiece, words

TEXT = "Albert Einstein developed the theory of relativity in 1905."


class Encoder:
    """Has an `encode` method and cannot be called."""

    def encode(self, text: str) -> list[str]:
        """Words."""
        return text.split()


@pytest.mark.parametrize("build", [bpe, unigram, sentencepiece_bpe, wordpiece])
def test_tokenizers(build: Any) -> None:
    """A tokenizer of `tokenizers` counts its tokens."""
    count = TokenCounter(build())
    assert count(TEXT) == len(build().encode(TEXT).ids) > 5
    assert count("") == 0


def test_transformers_tokenizer_adds_nothing() -> None:
    """No BOS or EOS is counted around the text; control tokens in it count as what they are."""
    tokenizer = tiny_tokenizer()
    count = TokenCounter(tokenizer)
    assert count(TEXT) == len(tokenizer.encode(TEXT, add_special_tokens=False))
    assert count("<|im_start|>") == 1


def test_truncation_and_padding_of_the_caller_do_not_matter() -> None:
    """The count is that of the whole text, and the caller's tokenizer keeps its settings."""
    tokenizer = tiny_tokenizer()
    whole = TokenCounter(tokenizer)(TEXT)
    tokenizer.backend_tokenizer.enable_truncation(3)
    tokenizer.backend_tokenizer.enable_padding(length=500)
    assert TokenCounter(tokenizer)(TEXT) == whole
    assert tokenizer.backend_tokenizer.truncation["max_length"] == 3
    assert tokenizer.backend_tokenizer.padding["length"] == 500


def test_slow_transformers_tokenizer() -> None:
    """One without a fast backend is asked for the whole text without additions."""
    asked: dict[str, Any] = {}

    def encode(text: str, **options: Any) -> list[str]:
        asked.update(options)
        return text.split()

    slow = SimpleNamespace(encode=encode, convert_tokens_to_ids=None)
    assert TokenCounter(slow)("a b c") == 3
    assert asked["add_special_tokens"] is False
    assert asked["truncation"] is False


def test_tiktoken_takes_control_tokens_as_text() -> None:
    """Tiktoken's `encode` would refuse them; a user's text may have any."""
    assert TokenCounter(Tiktoken())("<|endoftext|>") == 5


@pytest.mark.parametrize(
    "tokenizer", [str.split, words, Encoder(), lambda text: tuple(text.split())]
)
def test_callables_and_encoders(tokenizer: Any) -> None:
    """A callable gives tokens or their number; an `encode` method gives tokens."""
    count = TokenCounter(tokenizer)
    assert [count("a b c"), count("a"), count("")] == [3, 1, 0]


def test_counter_of_a_counter() -> None:
    """A counter is a callable like any other."""
    assert TokenCounter(TokenCounter(words))("a b") == 2


def test_encodings_are_tokens() -> None:
    """What `tokenizers` gives for a text counts as its tokens."""
    assert isinstance(bpe().encode(TEXT), Encoding)
    assert TokenCounter(bpe().encode)(TEXT) == TokenCounter(bpe())(TEXT)


def test_a_batch_is_not_taken_for_tokens() -> None:
    """A callable that gives `input_ids` and the like under names is an error, not a count of 2."""
    with pytest.raises(TypeError, match="the tokenizer gave BatchEncoding for a text"):
        TokenCounter(lambda text: tiny_tokenizer()(text))(TEXT)


@pytest.mark.parametrize("found", [None, 2.5, "text"])
def test_callables_that_give_something_else(found: Any) -> None:
    """What is neither tokens nor a number is an error that says so."""
    with pytest.raises(TypeError, match=f"gave {type(found).__name__} for a text"):
        TokenCounter(lambda text: found)(TEXT)


@pytest.mark.parametrize("wrong", [5, "gpt-4", object(), ["a"]])
def test_no_tokenizer(wrong: Any) -> None:
    """What cannot count is an error that says what can."""
    with pytest.raises(TypeError, match="is not a tokenizer: pass one of transformers"):
        TokenCounter(wrong)


@pytest.mark.parametrize("build", [bpe, unigram, sentencepiece_bpe, wordpiece])
@pytest.mark.parametrize("text", ["\ud83d alone", "a\ude00\ud83d", "a\x00b", "😀", "שלום"])
def test_any_text_is_counted(build: Any, text: str) -> None:
    """Lone surrogates, NUL, emoji and right-to-left text have tokens."""
    assert TokenCounter(build())(text) > 0


def test_total_is_the_larger_of_joined_and_apart() -> None:
    """Texts that are sent together take what they take joined or apart, whichever is more."""
    assert TokenCounter(len).total(["ab", "cde"]) == 7
    assert TokenCounter(lambda text: 10 + len(text)).total(["ab", "cde"]) == 25
    assert TokenCounter(words).total(["a b", "c"]) == 3
    assert TokenCounter(words).total([]) == 0


def test_pickle() -> None:
    """A counter is pickled with its tokenizer."""
    again = pickle.loads(pickle.dumps(TokenCounter(bpe())))
    assert again(TEXT) == TokenCounter(bpe())(TEXT)
