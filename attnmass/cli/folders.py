"""Texts in folders, and what is left out of them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from attnmass.cli.decoding import decode
from attnmass.cli.errors import InputError
from attnmass.cli.options import ChunkOptions

# What is read in a folder; a file that is named is read whatever its name.
TEXT_SUFFIXES = (
    ".txt", ".text", ".md", ".markdown", ".mdx", ".rst", ".adoc", ".asciidoc", ".org", ".tex",
)  # fmt: skip
_NAMED = 3  # files of each kind that a note names

Note = Callable[[str], None]


def walk(folder: str, options: ChunkOptions, note: Note) -> Iterator[tuple[str, str]]:
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
                    text = decode(Path(path).read_bytes())
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
