"""What was read: chunks with where they are from, and questions."""

from __future__ import annotations

from dataclasses import dataclass

from attnmass.text.chunk import Chunk

STDIN = "<stdin>"


@dataclass(frozen=True, slots=True)
class Item:
    """One chunk and where it is from.

    Attributes:
        chunk: What is ranked.
        source: The file's path as it was named or found, `<stdin>`, or what a JSON line says.
        id: What a JSON line says, else `None`. Need not be unique.
        line: Where it begins in its file, 1-based, if it is not all of it.
        start: Where it begins in the text that it is a part of (the file's, or the line's), in
            characters, else `None`.
        score: The retriever's, if a JSON line has one.
    """

    chunk: Chunk
    source: str
    id: str | int | None = None
    line: int | None = None
    start: int | None = None
    score: float | None = None

    @property
    def label(self) -> str:
        """Its id, else where it is."""
        if self.id is not None:
            return str(self.id)
        return self.source if self.line is None else f"{self.source}:{self.line}"


@dataclass(frozen=True, slots=True)
class Question:
    """One query and its chunks.

    Attributes:
        query: The query.
        items: The chunks.
        id: What a JSON line says, else `None`.
    """

    query: str
    items: tuple[Item, ...]
    id: str | int | None = None

    @property
    def label(self) -> str:
        """Its id, else the query."""
        return self.query if self.id is None else str(self.id)
