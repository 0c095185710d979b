"""Texts that queries are made from: those that ship, or the user's own."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from os import PathLike
from pathlib import Path

from attnmass.fitting.defaults import CANDIDATES
from attnmass.fitting.errors import DataError
from attnmass.fitting.queries.cloze import SET, cloze_queries, paragraphs_of
from attnmass.fitting.queries.data import LEAST_QUERIES, LabelledData
from attnmass.fitting.queries.lines import read_json_lines
from attnmass.profiles.texts import Document, ordinary_documents

Texts = str | PathLike[str] | Sequence[str | PathLike[str] | Document]

# What is read from a folder.
_PROSE = (".txt", ".md", ".markdown", ".rst")
_LINES = (".jsonl", ".jsonl.gz", ".ndjson")

_MOST = 2000  # documents of a large corpus


def made_of(
    texts: Texts | None = None, *, candidates: int = CANDIDATES, seed: int = 0
) -> LabelledData:
    """Labelled queries that are made from texts, see `cloze_queries`.

    Args:
        texts: As `read_texts` takes them; `None`: those that ship.
        candidates: Chunks for each query.
        seed: For what is drawn.

    Raises:
        DataError: If texts cannot be read, or too few queries can be made from them.
    """
    documents = ordinary_documents() if texts is None else read_texts(texts)
    found = cloze_queries(documents, candidates=candidates, seed=seed)
    if len(found) < LEAST_QUERIES:
        raise DataError(
            f"{SET}: {len(found)} sentences could be taken out of paragraphs to ask for the rest, "
            f"and at least {LEAST_QUERIES} are needed: pass more, or longer, texts"
        )
    said = f"{SET}: {len(found)} queries are sentences taken out of paragraphs, not questions"
    return LabelledData(found, (SET,) * len(found), (said,))


def sample_texts(
    texts: Iterable[str | Path | Document], *, most: int = _MOST, seed: int = 0
) -> tuple[Document, ...]:
    """Documents as `read_texts` gives them, drawn evenly where there are more than `most`.

    No more than that are held at a time, however many files there are (reservoir sampling, Vitter's
    algorithm R).

    Raises:
        DataError: As `read_texts`.
    """
    draw, kept = random.Random(seed), list[tuple[int, Document]]()
    for number, one in enumerate(document for each in texts for document in _documents(each)):
        if len(kept) < most:
            kept.append((number, one))
        elif (place := draw.randrange(number + 1)) < most:
            kept[place] = (number, one)
    return tuple(document for _, document in sorted(kept, key=lambda one: one[0]))


def read_texts(texts: Texts) -> tuple[Document, ...]:
    """Documents of paragraphs.

    Args:
        texts: A path, or several things: paths (`Path`), texts (`str`), documents. A file is a
            document, or JSON Lines with a `text` and maybe a `title` in each; from a folder, all
            files of text and JSON Lines are read, including those in folders below it.

    Raises:
        DataError: If there is no such file, it is not text, or it is empty.
    """
    if isinstance(texts, (str, PathLike)):
        texts = [Path(texts)]
    found = [document for one in texts for document in _documents(one)]
    if not any(document.paragraphs for document in found):
        raise DataError("there is no text in what was passed as texts")
    return tuple(found)


def _documents(one: str | PathLike[str] | Document) -> Iterable[Document]:
    if isinstance(one, Document):
        return [one]
    return [paragraphs_of(one)] if isinstance(one, str) else _of_path(Path(one))


def _of_path(path: Path) -> Iterator[Document]:
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.is_file() and file.name.lower().endswith((*_PROSE, *_LINES)):
                yield from _of_path(file)
    elif path.name.lower().endswith(_LINES):
        for place, row in read_json_lines(path):
            text = row.get("text")
            if not isinstance(text, str):
                raise DataError(f"{place}: no text")
            yield paragraphs_of(text, str(row.get("title") or ""))
    else:
        try:
            yield paragraphs_of(path.read_text(encoding="utf-8"))
        except UnicodeDecodeError as error:
            raise DataError(f"{path}: not text in UTF-8: {error}") from error
        except OSError as error:
            raise DataError(f"{path}: {error.strerror or error}") from error
