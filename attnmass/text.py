"""Text to tokens, by construction: content can never become a control token."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tokenizers import Tokenizer

from attnmass.errors import UnsupportedModelError

_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Tokens:
    """Token ids of one text.

    Attributes:
        ids: Token ids.
        offsets: `[start, end)` of each token, in characters into the text.
    """

    ids: tuple[int, ...]
    offsets: tuple[tuple[int, int], ...]

    def __len__(self) -> int:
        return len(self.ids)


class PlainTokenizer:
    """A tokenizer's own copy, for text that is content and for text that is template.

    The caller's tokenizer is read once and never used again, so its padding side, truncation and
    special-token settings neither matter nor change.
    """

    def __init__(self, tokenizer: Any) -> None:
        """Copy the tokenizer.

        Args:
            tokenizer: A fast transformers tokenizer.

        Raises:
            UnsupportedModelError: If it has no `tokenizers` backend, so that offsets are not known.
        """
        backend = getattr(tokenizer, "backend_tokenizer", None)
        if not isinstance(backend, Tokenizer):
            raise UnsupportedModelError(
                f"{type(tokenizer).__name__} has no offsets: pass a fast tokenizer "
                "(AutoTokenizer.from_pretrained(..., use_fast=True))."
            )
        serialized = json.loads(backend.to_str())
        self._template = _rebuild(serialized)
        # What the chat template writes between turns must be plain text in content, also where the
        # tokenizer does not call it special; white space, which some add as tokens, it may share.
        template = str(getattr(tokenizer, "chat_template", None) or "")
        for token in serialized["added_tokens"]:
            word = token["content"].strip()
            token["special"] = token["special"] or (word != "" and token["content"] in template)
        self._content = _rebuild(serialized)
        self._content.encode_special_tokens = True
        self._control = {token["id"] for token in serialized["added_tokens"] if token["special"]}

    def content(self, texts: Sequence[str]) -> list[Tokens]:
        """Tokens of texts in which nothing is a control token, whatever they say.

        Lone surrogates, which no tokenizer takes, are read as U+FFFD; offsets stay exact.
        """
        clean = [_SURROGATE.sub("\ufffd", text) for text in texts]
        encodings = self._content.encode_batch(clean, add_special_tokens=False)
        return [
            self._checked(text, encoding) for text, encoding in zip(clean, encodings, strict=True)
        ]

    def template(self, text: str) -> tuple[int, ...]:
        """Token ids of template text, in which control tokens count."""
        return tuple(self._template.encode(text, add_special_tokens=False).ids)

    def as_reader(self) -> Tokenizer:
        """The tokenizer as a model that reads the text as it is would use it; not to be changed."""
        return self._template

    def _checked(self, text: str, encoding: Any) -> Tokens:
        """Spell out any control token that the vocabulary itself would still produce."""
        ids: list[int] = []
        offsets: list[tuple[int, int]] = []
        for token, (start, end) in zip(encoding.ids, encoding.offsets, strict=True):
            if token not in self._control:
                ids.append(token)
                offsets.append((start, end))
                continue
            for position in range(start, end):
                for piece in self._content.encode(text[position], add_special_tokens=False).ids:
                    if piece not in self._control:
                        ids.append(piece)
                        offsets.append((position, position + 1))
        return Tokens(tuple(ids), tuple(offsets))


def _rebuild(serialized: dict[str, Any]) -> Tokenizer:
    tokenizer = Tokenizer.from_str(json.dumps(serialized))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer
