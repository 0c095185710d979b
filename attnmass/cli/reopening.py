"""What is named, opened as often as it is wanted."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import IO, BinaryIO


class Reopened:
    """Opens files, and stdin and pipes out of temporary files, which go when it is closed."""

    def __init__(self) -> None:
        """Nothing is read yet."""
        self._kept: dict[str, IO[bytes]] = {}

    def open(self, path: str) -> BinaryIO:
        """A named file, or stdin for `-`, from its beginning.

        Raises:
            OSError, ValueError: As `open`.
        """
        if path != "-" and Path(path).is_file():
            return Path(path).open("rb")
        if path not in self._kept:
            if path == "-":
                self._keep(path, sys.stdin.buffer)
            else:
                with Path(path).open("rb") as source:
                    self._keep(path, source)
        file = os.fdopen(os.dup(self._kept[path].fileno()), "rb")
        file.seek(0)
        return file

    def _keep(self, path: str, source: IO[bytes]) -> None:
        self._kept[path] = kept = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        shutil.copyfileobj(source, kept)
        kept.flush()

    def close(self) -> None:
        """Remove what was kept."""
        for kept in self._kept.values():
            kept.close()
