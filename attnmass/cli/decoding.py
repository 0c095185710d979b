"""Bytes of files as UTF-8 text, or the word that they are none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from attnmass.cli.errors import InputError


def text_of(file: BinaryIO, name: str) -> str:
    """All of a file.

    Raises:
        InputError: If it is not UTF-8 text.
    """
    text = decode(file.read())
    if text is None:
        raise _not_text(name)
    return text


def lines_of(file: BinaryIO, name: str) -> Iterator[str]:
    """The lines of a file, read one after the other.

    Raises:
        InputError: If one is not UTF-8 text, once it is reached.
    """
    for number, data in enumerate(file):
        line = decode(data, "utf-8" if number else "utf-8-sig")
        if line is None:
            raise _not_text(name)
        yield line


def _not_text(name: str) -> InputError:
    return InputError(
        f"{name}: not UTF-8 text", "convert it first, such as by iconv, pdftotext or pandoc"
    )


def decode(data: bytes, encoding: str = "utf-8-sig") -> str | None:
    """UTF-8 text without its byte-order mark; `None` for binary data and other encodings."""
    if b"\0" in data:
        return None
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        return None
