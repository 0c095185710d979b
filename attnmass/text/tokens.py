"""Text to tokens, by construction: content can never become a control token."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from tokenizers import Tokenizer

from attnmass.errors import UnsupportedModelError

_MOST_SEEN = 1 << 17  # texts that are known by their digest, some 200 bytes each
_SURROGATE = re.compile("[\ud800-\udfff]")
# In what `tokenizers` writes; keys are in one order, and quotes inside texts are escaped.
_ADDED = '"added_tokens":'


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

    @property
    def digest(self) -> bytes:
        """Tells runs of token ids apart."""
        return hashlib.sha256(array("q", self.ids).tobytes()).digest()


class KnownTokens(Tokens):
    """Tokens of a text that was tokenized before: their number and digest; all else on demand."""

    __slots__ = ("_digest", "_found", "_length", "_tokenize")
    _digest: bytes
    _length: int
    _tokenize: Callable[[], Tokens]
    _found: Tokens | None

    def __init__(self, digest: bytes, length: int, tokenize: Callable[[], Tokens]) -> None:
        """Nothing is tokenized yet.

        Args:
            digest: As `Tokens.digest`.
            length: How many tokens there are.
            tokenize: Gives them.
        """
        set_slot = object.__setattr__  # the base is frozen
        set_slot(self, "_digest", digest)
        set_slot(self, "_length", length)
        set_slot(self, "_tokenize", tokenize)
        set_slot(self, "_found", None)

    def __len__(self) -> int:
        return self._length

    @property
    def digest(self) -> bytes:
        """See `Tokens`."""
        return self._digest

    @property
    def ids(self) -> tuple[int, ...]:
        """See `Tokens`."""
        return self._tokens.ids

    @property
    def offsets(self) -> tuple[tuple[int, int], ...]:
        """See `Tokens`."""
        return self._tokens.offsets

    @property
    def _tokens(self) -> Tokens:
        found = self._found
        if found is None:
            found = self._tokenize()
            object.__setattr__(self, "_found", found)
        return found


@dataclass(frozen=True, slots=True)
class Frame:
    """What a tokenizer puts around one or two texts for its model to read.

    Attributes:
        control: Token ids before the first text, after each text except the last, and after the
            last.
        control_types: The token type of each of them; 0 where the tokenizer gives its model none.
        text_types: The token type of each text's tokens.
    """

    control: tuple[tuple[int, ...], ...]
    control_types: tuple[tuple[int, ...], ...]
    text_types: tuple[int, ...]

    def __len__(self) -> int:
        """How many tokens it puts around texts."""
        return sum(map(len, self.control))

    def fill(self, *texts: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...], list[int]]:
        """Token ids and types of texts in their frame, and where each text begins."""
        ids, types = list(self.control[0]), list(self.control_types[0])
        starts: list[int] = []
        for number, text in enumerate(texts):
            starts.append(len(ids))
            ids += [*text, *self.control[number + 1]]
            types += [self.text_types[number]] * len(text) + list(self.control_types[number + 1])
        return tuple(ids), tuple(types), starts


class PlainTokenizer:
    """Our own copy of a tokenizer, for text that is content and for text that is template.

    The caller's tokenizer is read once and never used again, so its padding side, truncation and
    special-token settings neither matter nor change.
    """

    def __init__(self, tokenizer: Any) -> None:
        """Copy the tokenizer.

        Args:
            tokenizer: A fast transformers tokenizer.

        Raises:
            UnsupportedModelError: If it has no `tokenizers` backend, so that offsets are unknown.
        """
        backend = getattr(tokenizer, "backend_tokenizer", None)
        if not isinstance(backend, Tokenizer):
            raise UnsupportedModelError(
                f"{type(tokenizer).__name__} has no offsets: pass a fast tokenizer "
                "(AutoTokenizer.from_pretrained(..., use_fast=True))."
            )
        self._tells_types = "token_type_ids" in getattr(tokenizer, "model_input_names", ())
        text = backend.to_str()
        self._template = _rebuild(text)
        # Alone, and spliced back in: the rest is megabytes, which take long to parse and to write.
        start = text.index(_ADDED) + len(_ADDED)
        added, end = json.JSONDecoder().raw_decode(text, start)
        # As the tokenizer has them; below more of them become special.
        self._added = [(token["id"], token["content"], token["special"]) for token in added]
        # What the chat template writes between turns must be plain text in content, even where the
        # tokenizer does not call it special; white space, which some add as tokens, may be shared.
        template = str(getattr(tokenizer, "chat_template", None) or "")
        self._chat_template = template
        for token in added:
            word = token["content"].strip()
            token["special"] = token["special"] or (word != "" and token["content"] in template)
        self._content = _rebuild(text[:start] + json.dumps(added) + text[end:])
        self._content.encode_special_tokens = True
        self._control = {token["id"] for token in added if token["special"]}
        self._seen: dict[bytes, tuple[bytes, int]] = {}
        self._guard = threading.Lock()

    def known(self, texts: Sequence[str]) -> list[Tokens]:
        """What `content` gives; for texts that were seen before, no more than is asked for.

        Thousands of chunks whose key vectors are kept need no tokens, only what finds the vectors.
        """
        names = [
            hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
            for text in texts
        ]
        seen = [self._seen.get(name) for name in names]
        new = [i for i, known in enumerate(seen) if known is None]
        tokenized = dict(zip(new, self.content([texts[i] for i in new]), strict=True))
        for i, tokens in tokenized.items():
            self._remember(names[i], tokens)
        return [
            tokenized[i] if known is None else KnownTokens(*known, partial(self._one, texts[i]))
            for i, known in enumerate(seen)
        ]

    def _one(self, text: str) -> Tokens:
        return self.content([text])[0]

    def _remember(self, name: bytes, tokens: Tokens) -> None:
        seen = (tokens.digest, len(tokens))
        with self._guard:
            self._seen[name] = seen
            while len(self._seen) > _MOST_SEEN:
                del self._seen[next(iter(self._seen))]

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

    def frame(self, n_texts: int) -> Frame:
        """How the tokenizer frames one text, or two as a pair, by its own post-processor.

        Raises:
            UnsupportedModelError: If it cannot tell the texts from what is around them.
        """
        found = self._template.encode("a", "a" if n_texts == 2 else None)
        control: list[list[int]] = [[] for _ in range(n_texts + 1)]
        types: list[list[int]] = [[] for _ in range(n_texts + 1)]
        text_types: dict[int, int] = {}
        for token, kind, number in zip(found.ids, found.type_ids, found.sequence_ids, strict=True):
            kind = kind if self._tells_types else 0
            if number is None:
                control[len(text_types)].append(token)
                types[len(text_types)].append(kind)
            else:
                text_types[number] = kind
        if list(text_types) != list(range(n_texts)):
            raise UnsupportedModelError(
                f"the tokenizer does not put {n_texts} texts one after the other: pass the one "
                "that the model was trained with"
            )
        return Frame(
            tuple(map(tuple, control)), tuple(map(tuple, types)), tuple(text_types.values())
        )

    def check_fits(self, n_embeddings: int) -> None:
        """Raise `UnsupportedModelError` if a text could have a token that the model does not have.

        Special tokens that are in neither the chat template nor a frame do not count: no text gives
        them, and some models have one too many.

        Args:
            n_embeddings: How many tokens the model knows.
        """
        largest = max(self._content.get_vocab(with_added_tokens=False).values(), default=-1)
        framed = set(self._template.encode("a").ids)
        for token, content, special in self._added:
            used = not special or content in self._chat_template
            if used or token in framed:
                largest = max(largest, token)
        if largest >= n_embeddings:
            raise UnsupportedModelError(
                f"the tokenizer has tokens up to number {largest}, and the model knows "
                f"{n_embeddings}: pass the tokenizer that the model was trained with, or resize "
                "its embeddings (resize_token_embeddings)"
            )

    def as_reader(self) -> Tokenizer:
        """The tokenizer as a model reading the text as it is would use it; not to be modified."""
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


def _rebuild(serialized: str) -> Tokenizer:
    tokenizer = Tokenizer.from_str(serialized)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer
