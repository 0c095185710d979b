"""A chunk, and what distinguishes a text and a place in it from others."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from attnmass.options.checks import as_str, check_type
from attnmass.options.keywords import names_nearest


@names_nearest
@dataclass(frozen=True, slots=True)
class Chunk:
    """One retrieved text.

    Attributes:
        text: The text that is scored, and trimmed on request.
        title: A line put before the text for the model to read; its tokens count as the chunk's.
        before: What the model reads between title and text, as it is: counted, never trimmed.
        after: What it reads after the text, likewise.
        metadata: What else is known about it, which comes back with its result; the model reads
            none of it, and chunks that differ in nothing else are equal.

    Raises:
        TypeError: If title, `before` or `after` is not a string, or `metadata` not a mapping. A
            `text` that is not a string is accepted, and not scored.
    """

    text: str
    title: str | None = None
    before: str = ""
    after: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        check_type("title", self.title, str, optional="no title")
        check_type("before", self.before, str)
        check_type("after", self.after, str)
        check_type("metadata", self.metadata, Mapping)
        for name in ("text", "title", "before", "after"):
            value = getattr(self, name)
            if isinstance(value, str) and type(value) is not str:
                object.__setattr__(self, name, as_str(value))


def span_id(digest: str, start: int, end: int) -> str:
    """The id of a place in the text with this `text_digest`."""
    return f"{digest}-{start}-{end}"


def text_digest(text: str) -> str:
    """Tells texts apart; any `str`, lone surrogates included."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
