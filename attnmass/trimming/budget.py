"""Counting with the reader's tokenizer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Sized
from numbers import Integral
from typing import Any

from tokenizers import Tokenizer


class TokenCounter:
    """How many tokens the reader makes from a text.

    Control tokens in the text count as the reader would read them; none are added around it.
    """

    def __init__(self, tokenizer: Any) -> None:
        """Bind a counter; the tokenizer is not changed and its truncation does not matter.

        Args:
            tokenizer: A transformers or tokenizers tokenizer, one with an `encode` method, or a
                callable that returns a text's tokens or their number.

        Raises:
            TypeError: If it is none of these.
        """
        self._tokenizer = tokenizer
        self._backend = _own_backend(tokenizer)
        self._count = _counter(tokenizer) if self._backend is None else None

    def __reduce__(self) -> tuple[type[TokenCounter], tuple[Any]]:
        return type(self), (self._tokenizer,)

    def __call__(self, text: str) -> int:
        """Tokens of one text."""
        return self.each([text])[0]

    def each(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text."""
        if self._backend is not None:
            # One that has no characters may get tokens all the same, such as a leading mark.
            clean = [encodable(text) for text in texts if text]
            found = iter(self._backend.encode_batch_fast(clean, add_special_tokens=False))
            return [len(next(found)) if text else 0 for text in texts]
        assert self._count is not None
        return [self._count(text) if text else 0 for text in texts]

    def total(self, texts: Sequence[str]) -> int:
        """Tokens of texts that are sent together, joined by blank lines.

        Tokenizers may or may not merge across a join, and readers may join differently: the larger
        of the counts of the texts joined and of the texts apart.
        """
        if not texts:
            return 0
        together, *apart = self.each(["\n\n".join(texts), *texts])
        return max(together, sum(apart))


def _own_backend(tokenizer: Any) -> Tokenizer | None:
    """A copy of a fast tokenizer, whose truncation and padding are the caller's; else `None`."""
    backend = getattr(tokenizer, "backend_tokenizer", tokenizer)
    if not isinstance(backend, Tokenizer):
        return None
    own = Tokenizer.from_str(backend.to_str())
    own.no_truncation()
    own.no_padding()
    return own


def _counter(tokenizer: Any) -> Callable[[str], int]:
    """For what has no fast backend."""
    if hasattr(tokenizer, "encode_ordinary"):  # tiktoken
        return lambda text: len(tokenizer.encode_ordinary(text))
    if hasattr(tokenizer, "convert_tokens_to_ids"):  # transformers, without a fast backend
        return lambda text: len(
            tokenizer.encode(text, add_special_tokens=False, truncation=False, verbose=False)
        )
    if callable(tokenizer):
        return lambda text: _number(tokenizer(text))
    if hasattr(tokenizer, "encode") and not isinstance(tokenizer, str):
        return lambda text: _number(tokenizer.encode(text))
    raise TypeError(
        f"{type(tokenizer).__name__} is not a tokenizer: pass one of transformers, tokenizers or "
        "tiktoken, or a callable from a text to its tokens or their number"
    )


def _number(found: Any) -> int:
    if isinstance(found, Integral):
        return int(found)
    if isinstance(found, Sized) and not isinstance(found, str | Mapping):
        return len(found)
    raise TypeError(
        f"the tokenizer gave {type(found).__name__} for a text: pass a callable that gives a "
        "list of tokens or their number, or the tokenizer itself"
    )


def encodable(text: str) -> str:
    """Lone surrogates, which no tokenizer takes, as U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
