"""Chunks from files, folders and stdin."""

from __future__ import annotations

import io
import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from attnmass.cli import jsonl
from attnmass.cli.errors import InputError, UsageError
from attnmass.cli.items import STDIN, Item, Question
from attnmass.cli.options import ChunkOptions, InputOptions
from attnmass.cli.splitting import split_text
from attnmass.text.chunk import Chunk

# What is read in a folder; a file that is named is read whatever its name.
TEXT_SUFFIXES = (
    ".txt", ".text", ".md", ".markdown", ".mdx", ".rst", ".adoc", ".asciidoc", ".org", ".tex",
)  # fmt: skip
JSONL_SUFFIXES = (".jsonl", ".ndjson")

_BLANK_LINES = re.compile(r"\n[^\S\n]*(?:\n[^\S\n]*)+")
_NAMED = 3  # files of each kind that a note names

Note = Callable[[str], None]
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
        shared = read_items(named, options, note) if named else None
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
            "no QUERY", "attnmass rank QUERY PATHS, or attnmass rank --queries FILE.jsonl"
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
    items = read_items(paths or ["-"], options, note)
    if not items:
        where = ", ".join(STDIN if path == "-" else path for path in paths or ["-"])
        raise InputError(f"nothing to read in {where}", forgotten)
    return [Question(query, tuple(items))]


def read_items(paths: Sequence[str], options: ChunkOptions, note: Note) -> list[Item]:
    """The chunks of files, folders and stdin, in the order in which they are named.

    Raises:
        UsageError: If stdin is named twice.
        InputError: If something that is named cannot be read.
    """
    return list(iter_items(paths, options, note))


def iter_items(
    paths: Sequence[str], options: ChunkOptions, note: Note, opened: Open | None = None
) -> Iterator[Item]:
    """The same one after the other: no more is held than one text, or one line of JSON Lines.

    Args:
        paths: Files, folders and `-`.
        options: How they are read.
        note: Is told what was left out.
        opened: Opens what is named; default: for one reading, stdin included.

    Raises:
        UsageError, InputError: As `read_items`, at the chunk before which it turns out.
    """
    if list(paths).count("-") > 1:
        raise UsageError("stdin (-) can be read once")
    for path in paths:
        if path != "-" and _is_folder(path):
            for file, text in _walk(path, options, note):
                yield from _chunks(text, file, options)
        else:
            with _named(path, opened or _open) as (data, name):
                if _is_jsonl(path, data, name, options):
                    items = jsonl.read_chunks(_lines(data, name), name)
                    yield from items if options.split is None else _split(items, options.split)
                else:
                    yield from _chunks(_text(data, name), name, options)


def stdin_is_terminal() -> bool:
    """Whether a person would have to type what is read from stdin."""
    return sys.stdin is not None and sys.stdin.isatty()


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
    found = jsonl.is_json_lines(_lines(file, name))
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
        return _text(file, name), name


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
            raise InputError(f"{name}: no name of a file: {error}") from error
        with file:
            yield file, name
    except FileNotFoundError:
        raise InputError(f"{name}: no such file or folder") from None
    except IsADirectoryError:
        raise InputError(f"{name}: a folder, and a file is needed") from None
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {error.strerror or error}") from error


def _text(file: BinaryIO, name: str) -> str:
    text = _decode(file.read())
    if text is None:
        raise _not_text(name)
    return text


def _lines(file: BinaryIO, name: str) -> Iterator[str]:
    for number, data in enumerate(file):
        line = _decode(data, "utf-8" if number else "utf-8-sig")
        if line is None:
            raise _not_text(name)
        yield line


def _not_text(name: str) -> InputError:
    return InputError(
        f"{name}: not UTF-8 text", "convert it first, such as by iconv, pdftotext or pandoc"
    )


def _decode(data: bytes, encoding: str = "utf-8-sig") -> str | None:
    """UTF-8 text without its byte-order mark; `None` for binary data and other encodings."""
    if b"\0" in data:
        return None
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        return None


def _walk(folder: str, options: ChunkOptions, note: Note) -> Iterator[tuple[str, str]]:
    """The texts in a folder and the folders in it, by path, with a note of what was left out."""
    suffixes = tuple(_dotted(suffix) for suffix in options.suffix or TEXT_SUFFIXES)
    left_out: dict[str, list[str]] = {}

    def leave_out(why: str, path: str) -> None:
        left_out.setdefault(why, []).append(path)

    def unreadable(error: OSError) -> None:
        if str(error.filename) == folder:
            raise InputError(f"{folder}: cannot be read: {error.strerror}") from error
        leave_out("not readable", str(error.filename))

    for root, folders, files in os.walk(folder, onerror=unreadable):
        for name in [name for name in folders if name.startswith(".")]:
            leave_out("hidden", os.path.join(root, name))  # noqa: PTH118
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = os.path.join(root, name)  # noqa: PTH118 - keeps the path as it was named
            if name.startswith("."):
                leave_out("hidden", path)
            elif not name.lower().endswith(suffixes):
                leave_out("of other kinds", path)
            else:
                if not Path(path).is_file():  # a pipe would make us wait; a dangling link
                    leave_out("no files", path)
                    continue
                try:
                    text = _decode(Path(path).read_bytes())
                except OSError:
                    leave_out("not readable", path)
                    continue
                if text is None:
                    leave_out("not UTF-8 text", path)
                elif not text.strip():
                    leave_out("blank", path)
                else:
                    yield path, text
    if left_out:
        note(f"{folder}: left out {_summary(left_out)}")


def _dotted(suffix: str) -> str:
    return suffix.lower() if suffix.startswith(".") else f".{suffix.lower()}"


def _summary(left_out: dict[str, list[str]]) -> str:
    parts = []
    for why, paths in left_out.items():
        if why == "of other kinds":
            kinds = Counter(Path(path).suffix or "none" for path in paths)
            names = [kind for kind, _ in kinds.most_common(_NAMED)]
            more = len(kinds) > _NAMED
        else:
            names = paths[:_NAMED]
            more = len(paths) > _NAMED
        parts.append(f"{len(paths)} {why} ({', '.join(names)}{', ...' if more else ''})")
    return "; ".join(parts)
