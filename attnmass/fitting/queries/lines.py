"""Lines of files, plain or gzip, each with its place for messages."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attnmass.fitting.errors import DataError
from attnmass.text.strict_json import read_json


def read_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Each line that is not blank, as its place, `file:line`, and its text.

    Raises:
        DataError: If the file cannot be read, is not UTF-8, or is empty.
    """
    empty = True
    number = 0
    try:
        with path.open("rb") as raw, _unzipped(path, raw) as file:
            for number, data in enumerate(file, 1):
                line = data.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
                if line.strip():
                    empty = False
                    yield f"{path}:{number}", line
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise DataError(f"{path}: a folder, and a file is needed") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}:{number}: not UTF-8 text") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cut off or no gzip, after line {number}: {error}") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    if empty:
        raise DataError(f"{path}: empty")


def _unzipped(path: Path, raw: Any) -> Any:
    return gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw


def read_json_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each line's place and object.

    Raises:
        DataError: As `read_lines`, and if a line is not a JSON object.
    """
    for place, line in read_lines(path):
        try:
            data = read_json(line)
        except json.JSONDecodeError as error:
            raise DataError(f"{place}: not JSON: {error.msg} at column {error.colno}") from error
        except RecursionError:
            raise DataError(f"{place}: not JSON: nested too deeply") from None
        except ValueError as error:
            raise DataError(f"{place}: not JSON: {error}") from error
        if not isinstance(data, dict):
            raise DataError(f"{place}: {kind(data)}, not an object")
        yield place, data


def kind(value: Any) -> str:
    """What a JSON value is, for messages."""
    names = {bool: "a boolean", str: "a string", list: "a list", dict: "an object"}
    return "null" if value is None else names.get(type(value), "a number")
