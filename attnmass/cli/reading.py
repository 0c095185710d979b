"""Chunks from files, folders and stdin."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from attnmass.cli import jsonl
from attnmass.cli.decoding import lines_of, text_of
from attnmass.cli.errors import InputError, UsageError
from attnmass.cli.folders import Note, walk
from attnmass.cli.items import STDIN, Item, Question
from attnmass.cli.options import ChunkOptions, InputOptions
from attnmass.cli.splitting import split_text
from attnmass.text.chunk import Chunk

JSONL_SUFFIXES = (".jsonl", ".ndjson")

_BLANK_LINES = re.compile(r"\n[^\S\n]*(?:\n[^\S\n]*)+")

Open = Callable[[str], BinaryIO]


def read_questions(
    query: str | None, paths: Sequence[str], options: InputOptions, note: Note
) -> list[Question]:
    """The questions of one command: QUERY over PATHS, or those of `--queries`.

    Args:
        query: QUERY, if there is one. With `--queries` the first argument is a path.
        paths: Files, folders and `-`; none for stdin.
        options: How they are read.
        note: Is told what was left out.

    Raises:
        UsageError: If arguments are missing or contradict each other.
        InputError: If something cannot be read, or there is nothing in it.
    """
    if options.queries is not None:
        named = list(paths) if query is None else [query, *paths]
        if options.queries == "-" and "-" in named:
            raise UsageError("stdin cannot be both --queries and chunks")
        try:
            shared = list(iter_items(named, options, note)) if named else None
        except InputError as error:
            if query is not None and not _is_there(query):
                error.hint = "with --queries there is no QUERY, only PATHS"
            raise
        text, name = _read_named(options.queries)
        questions = jsonl.read_questions(text, name, shared)
        if not questions:
            raise InputError(f"{name}: no questions in it")
        if shared is None and options.split is not None:
            limit = options.split
            return [replace(one, items=tuple(_split(one.items, limit))) for one in questions]
        return questions
    if query is None:
        raise UsageError(
            "no QUERY", "pass QUERY PATHS, or --queries FILE.jsonl; --help has examples"
        )
    if not query.strip():
        raise UsageError("the QUERY is blank: say what to look for")
    forgotten = (
        f"{query} is a file: pass the question before it, or --queries {query}"
        if not paths and _is_file(query)
        else None
    )
    if not paths and stdin_is_terminal():
        raise UsageError("no chunks", forgotten or "name files or folders, or pipe them in")
    try:
        items = list(iter_items(paths or ["-"], options, note))
    except InputError as error:
        if paths and _is_there(query) and not _is_there(paths[0]):
            error.hint = f"the question comes first, then {query}"
        raise
    if not items:
        where = ", ".join(STDIN if path == "-" else path for path in paths or ["-"])
        raise InputError(f"nothing to read in {where}", forgotten)
    return [Question(query, tuple(items))]


def iter_items(
    paths: Sequence[str], options: ChunkOptions, note: Note, opened: Open | None = None
) -> Iterator[Item]:
    """The chunks of files, folders and stdin, in the order in which they are named.

    No more is held than one text, or one line of JSON Lines.

    Args:
        paths: Files, folders and `-`.
        options: How they are read.
        note: Is told what was left out.
        opened: Opens what is named; default: for one reading, stdin included.

    Raises:
        UsageError: If stdin is named twice.
        InputError: If something cannot be read, at the chunk before which that turns out.
    """
    if list(paths).count("-") > 1:
        raise UsageError("stdin (-) can be read once")
    for path in paths:
        if path != "-" and _is_folder(path):
            for file, text in walk(path, options, note):
                yield from _chunks(text, file, options)
        else:
            with _named(path, opened or _open) as (data, name):
                if _is_jsonl(path, data, name, options):
                    items = jsonl.read_chunks(lines_of(data, name), name)
                    yield from items if options.split is None else _split(items, options.split)
                else:
                    yield from _chunks(text_of(data, name), name, options)


def stdin_is_terminal() -> bool:
    """Whether a person would have to type what is read from stdin."""
    return sys.stdin is not None and sys.stdin.isatty()


def _is_there(name: str) -> bool:
    return _is_file(name) or _is_folder(name)


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except (OSError, ValueError):  # too long for a path, or not the form of one
        return False


def _is_folder(name: str) -> bool:
    try:
        return Path(name).is_dir()
    except (OSError, ValueError):  # reading it will say what is wrong
        return False


def _is_jsonl(path: str, file: BinaryIO, name: str, options: ChunkOptions) -> bool:
    if options.input != "auto":
        return options.input == "jsonl"
    if path != "-":
        return path.lower().endswith(JSONL_SUFFIXES)
    found = jsonl.is_json_lines(lines_of(file, name))
    file.seek(0)
    return found


def _chunks(text: str, name: str, options: ChunkOptions) -> Iterator[Item]:
    """The chunks of one text: a part, a paragraph of stdin, or all of it."""
    if options.split is not None:
        places = split_text(text, options.split)
    elif name == STDIN:
        places = _paragraphs(text)
    else:
        yield Item(Chunk(text), name)
        return
    line = last = 0
    for start, end in places:
        line += text.count("\n", last, start)
        last = start
        yield Item(Chunk(text[start:end]), name, line=line + 1, start=start)


def _split(items: Iterable[Item], limit: int) -> Iterator[Item]:
    """The parts of each chunk, under its title and with its id and score; blank ones whole."""
    for item in items:
        places = split_text(item.chunk.text, limit)
        for start, end in places:
            piece = replace(item.chunk, text=item.chunk.text[start:end])
            yield replace(item, chunk=piece, start=start)
        if not places:
            yield item


def _paragraphs(text: str) -> list[tuple[int, int]]:
    """`[start, end)` of what blank lines part, without white space around it."""
    places = []
    start = 0
    for end, after in [*(m.span() for m in _BLANK_LINES.finditer(text)), (len(text), 0)]:
        piece = text[start:end]
        if piece.strip():
            left = len(piece) - len(piece.lstrip())
            places.append((start + left, start + len(piece.rstrip())))
        start = after
    return places


def _read_named(path: str) -> tuple[str, str]:
    """A named file's text, or stdin's, and its name."""
    with _named(path, _open) as (file, name):
        return text_of(file, name), name


def _open(path: str) -> BinaryIO:
    """A named file, or all that is on stdin."""
    return io.BytesIO(sys.stdin.buffer.read()) if path == "-" else Path(path).open("rb")


@contextmanager
def _named(path: str, opened: Open) -> Iterator[tuple[BinaryIO, str]]:
    """What is named, opened, and its name; what goes wrong with it is told by that."""
    name = STDIN if path == "-" else path
    try:
        try:
            file = opened(path)
        except ValueError as error:  # NUL in a name
            raise InputError(f"{name}: not a file name: {error}") from error
        with file:
            yield file, name
    except FileNotFoundError:
        raise InputError(f"{name}: no such file or folder") from None
    except IsADirectoryError:
        raise InputError(f"{name}: a folder, and a file is needed") from None
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {error.strerror or error}") from error
