"""What a user says about the chunk cache; no torch in here, so that adapters can check it early."""

from __future__ import annotations

from pathlib import Path

from attnmass.options.checked import Checked
from attnmass.options.declared import Storing
from attnmass.options.urls import check_shared


class CacheOptions(Storing, Checked):
    """Where what chunks left is kept, how much of it, and in which format.

    Raises:
        TypeError: If an option is of another type than is declared.
        ValueError: If a value is off, or options contradict each other.
    """

    def check_together(self) -> None:
        """Raise `ValueError` where options contradict each other."""
        if self.store == "":  # it would be the working directory
            raise ValueError("store is empty: name a folder, or leave it out")
        default = type(self).model_fields["store_bytes"].default
        if self.store is None and self.store_bytes != default:
            raise ValueError("store_bytes bounds a store, and there is none: name its folder")
        if self.shared_store is not None:
            check_shared(self.shared_store)
        if self.store_format is not None and not self.is_on:
            raise ValueError(
                f"store_format={self.store_format!r} needs a cache, and there is none: set "
                "memory_bytes or store"
            )
        folder = self.folder
        if folder is not None and folder.exists() and not folder.is_dir():
            raise ValueError(f"store is not a folder: {folder}")

    @property
    def is_on(self) -> bool:
        """Whether anything is kept anywhere."""
        return self.memory_bytes != 0 or self.lasts

    @property
    def lasts(self) -> bool:
        """Whether it is kept beyond the process."""
        return self.store is not None or self.shared_store is not None

    @property
    def folder(self) -> Path | None:
        """The folder's path."""
        return None if self.store is None else Path(self.store).expanduser()
