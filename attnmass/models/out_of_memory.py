"""Going on after an out-of-memory error."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that an allocation failed, on any device."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and (
        "out of memory" in text or "can't allocate memory" in text
    )


def halving(run: Callable[[Sequence[Item]], list[Result]], items: Sequence[Item]) -> list[Result]:
    """Run over all items at once, or over halves of them where memory does not suffice.

    Args:
        run: Returns one result for each item.
        items: At least one.

    Raises:
        RuntimeError: The out-of-memory error, if a single item is already too much.
    """
    try:
        return run(items)
    except (RuntimeError, MemoryError) as error:
        if len(items) == 1 or not is_out_of_memory(error):
            raise
    release()  # outside the handler: the traceback holds the failed pass's tensors
    middle = len(items) // 2
    return [*halving(run, items[:middle]), *halving(run, items[middle:])]


def release() -> None:
    """Give back what failed passes left behind."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
