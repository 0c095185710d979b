"""The bar that shows how far reading is."""

from __future__ import annotations

from typing import NoReturn

from tqdm.auto import tqdm


def progress_bar(n_chunks: int, progress: bool) -> tqdm[NoReturn]:
    """A bar that counts chunks, shown or not."""
    return tqdm(
        total=n_chunks, desc="Reading chunks", unit="chunk", leave=False, disable=not progress
    )
