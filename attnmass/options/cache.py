"""What a user says of the chunk cache; no torch in here, so that adapters can check it early."""

from __future__ import annotations

from pathlib import Path

from attnmass.options.checked import Checked
from attnmass.options.declared import Storing


class CacheOptions(Storing, Checked):
    """Where what chunks left is kept, how much of it, and in which format.

    Raises:
        TypeError: If an option is of another type than is declared.
        ValueError: If a value is off, or options contradict each other.
    """

    def check_together(self) -> None:
        """Raise `ValueError` where options contradict each other."""
        default = type(self).model_fields["cache_folder_bytes"].default
        if self.cache_folder is None and self.cache_folder_bytes != default:
            raise ValueError("cache_folder_bytes bounds a cache_folder, and there is none: name it")
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
