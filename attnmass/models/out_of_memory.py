"""Going on after an out-of-memory error, with the same scores.

How much memory happens to be free must not affect a result. So what is made smaller is what is run
at once, as batches or blocks, which changes rounding and nothing else. What is read as one text
stays so: where that is too much, the error says what to pass.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TypeVar

import torch

from attnmass.errors import OutOfMemoryError

Item = TypeVar("Item")
Size = TypeVar("Size")
Result = TypeVar("Result")


# What devices, CPUs on Linux and on Windows, the C++ library and cuBLAS say, in that order.
_WORDS = (
    *("out of memory", "can't allocate memory", "not enough memory"),
    *("std::bad_alloc", "bad allocation", "status_alloc_failed"),
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that an allocation failed, on any device."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(words in text for words in _WORDS)


def halving(run: Callable[[Sequence[Item]], list[Result]], items: Sequence[Item]) -> list[Result]:
    """Run over all items at once, or over halves of them where memory is too small.

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


def shrinking(run: Callable[[Size], Result], sizes: Sequence[Size]) -> Result:
    """Run with the first of some sizes, or the next ones where memory is too small.

    Args:
        run: Gives the same with every size, up to rounding.
        sizes: At least one, from large to small.

    Raises:
        RuntimeError: The out-of-memory error, if the last size is already too much.
    """
    *larger, least = sizes
    for size in larger:
        try:
            return run(size)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        release()  # see `halving`
    return run(least)


def sizes_down(size: int, least: int, by: int = 2) -> list[int]:
    """A size and fractions of it, down to the first that is at most `least`."""
    sizes = [size]
    while sizes[-1] > least:
        sizes.append(max(1, sizes[-1] // by))
    return sizes


@contextmanager
def advising(what: str, remedy: str) -> Iterator[None]:
    """Say what to pass where memory runs out on what cannot be made smaller.

    Args:
        what: What that is, such as `"a window of 512 tokens"`.
        remedy: What takes less memory.

    Raises:
        OutOfMemoryError: Instead of the out-of-memory error, which is its cause.
    """
    try:
        yield
    except OutOfMemoryError:
        raise
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemoryError(
            f"memory ran out on {what}: {remedy}, or use a smaller model or dtype, or a device "
            "with more memory"
        ) from error


def advising_shorter(longest: int) -> AbstractContextManager[None]:
    """`advising` about a text of up to this many tokens, which is read alone.

    Shorter windows give different scores, so they are read only where they are asked for.
    """
    return advising(
        f"a text of up to {longest} tokens that was read alone",
        f"pass max_chunk_tokens={max(1, longest // 2)} to read it in shorter windows, which "
        "changes scores",
    )


def advising_fewer(longest: int) -> AbstractContextManager[None]:
    """`advising` about queries of up to this many tokens, the longest of which looks alone."""
    return advising(
        f"a query of up to {longest} tokens that looked alone", "pass fewer chunks at once"
    )


def release() -> None:
    """Give back what failed passes left behind."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
