"""What a user says of the chunk cache; no torch in here, so that adapters can check it early."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

CACHE_BYTES = 1 << 30
CACHE_FOLDER_BYTES = 10 << 30
CACHE_FORMATS = ("float16", "bfloat16", "int8")

# As `AttentionRanker` and the adapters name them, too.
CACHE_FIELDS = ("cache_bytes", "cache_folder", "cache_folder_bytes", "cache_format")


@dataclass(frozen=True, slots=True)
class CacheOptions:
    """Where what chunks left is kept, how much of it, and in which format.

    Attributes:
        cache_bytes: Bound on what is kept in memory; 0 keeps nothing there, `None` everything.
        cache_folder: Folder where it is kept beyond the process, for all that name the folder.
        cache_folder_bytes: Bound on what is kept in the folder, below 128 KiB nothing; `None` for
            no bound.
        cache_format: `"float16"`, `"bfloat16"` or `"int8"`, smaller than the model's own dtype and
            not as exact; default: the model's.

    Raises:
        ValueError: If a value is off, or options contradict each other.
    """

    cache_bytes: int | None = CACHE_BYTES
    cache_folder: str | os.PathLike[str] | None = None
    cache_folder_bytes: int | None = CACHE_FOLDER_BYTES
    cache_format: str | None = None

    def __post_init__(self) -> None:
        if self.cache_bytes is not None and self.cache_bytes < 0:
            raise ValueError(f"cache_bytes must be 0 or more, not {self.cache_bytes}")
        if self.cache_folder_bytes is not None and self.cache_folder_bytes < 1:
            raise ValueError(
                f"cache_folder_bytes must be at least 1, not {self.cache_folder_bytes}: to keep "
                "nothing in a folder leave out cache_folder"
            )
        if self.cache_folder is None and self.cache_folder_bytes != CACHE_FOLDER_BYTES:
            raise ValueError("cache_folder_bytes bounds a cache_folder, and there is none: name it")
        if self.cache_format is not None and self.cache_format not in CACHE_FORMATS:
            raise ValueError(
                f"cache_format {self.cache_format!r} is not one of "
                f"{', '.join(map(repr, CACHE_FORMATS))}"
            )
        if self.cache_format is not None and not self.is_on:
            raise ValueError(
                f"cache_format={self.cache_format!r} needs a cache, and there is none: set "
                "cache_bytes or cache_folder"
            )
        folder = self.folder
        if folder is not None and folder.exists() and not folder.is_dir():
            raise ValueError(f"cache_folder is not a folder: {folder}")

    @property
    def is_on(self) -> bool:
        """Whether anything is kept anywhere."""
        return self.cache_bytes != 0 or self.cache_folder is not None

    @property
    def folder(self) -> Path | None:
        """The folder's path."""
        return None if self.cache_folder is None else Path(self.cache_folder).expanduser()
