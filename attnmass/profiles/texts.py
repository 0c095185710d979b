"""Ordinary text that ships: what every chunk is compared with, and what models are fitted on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources

from attnmass.text.rarity import Rarity

_FILE = "ordinary.jsonl"
_N_BACKGROUND = 40


@dataclass(frozen=True, slots=True)
class Document:
    """A text of several paragraphs.

    Attributes:
        title: What it is about.
        paragraphs: In reading order.
    """

    title: str
    paragraphs: tuple[str, ...]


@cache
def ordinary_documents() -> tuple[Document, ...]:
    """Short documents in English on all kinds of subjects, written for this purpose."""
    found = (resources.files(__package__) / "data" / _FILE).read_text(encoding="utf-8")
    rows = [json.loads(line) for line in found.splitlines()]
    return tuple(Document(row["title"], tuple(row["paragraphs"])) for row in rows)


@cache
def ordinary_texts() -> tuple[str, ...]:
    """One paragraph from each of some documents, with its title: an ordinary background."""
    documents = ordinary_documents()
    step = len(documents) / min(_N_BACKGROUND, len(documents))
    chosen = [documents[int(i * step)] for i in range(min(_N_BACKGROUND, len(documents)))]
    return tuple(
        f"{one.title}\n{one.paragraphs[number % len(one.paragraphs)]}"
        for number, one in enumerate(chosen)
    )


@cache
def ordinary_rarity() -> Rarity:
    """How rare words are in these documents."""
    return Rarity.of(text for one in ordinary_documents() for text in one.paragraphs)
