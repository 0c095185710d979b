"""A chunk, and what tells a text and a place in it from others."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Chunk:
    """One retrieved text.

    Attributes:
        text: The text that is scored, and trimmed on request.
        title: A line put before the text for the model to read; its tokens count as the chunk's.
        before: What the model reads between title and text, as it is: counted, never trimmed.
        after: What it reads after the text, likewise.
    """

    text: str
    title: str | None = None
    before: str = ""
    after: str = ""


def span_id(digest: str, start: int, end: int) -> str:
    """The id of a place in the text with this `text_digest`."""
    return f"{digest}-{start}-{end}"


def text_digest(text: str) -> str:
    """Tells texts apart; any `str`, lone surrogates included."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
