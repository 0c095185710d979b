"""What is said where memory runs out, and how sizes fall before that."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from attnmass import OutOfMemoryError
from attnmass.cli.errors import ExitCode, told
from attnmass.models.out_of_memory import (
    advising_fewer,
    advising_shorter,
    halving,
    shrinking,
    sizes_down,
)
from attnmass.serving.errors import of_model


def test_other_errors_pass() -> None:
    """What is no lack of memory is neither tried again nor told as one; first advice stands."""
    tried = []

    def broken(size: int) -> None:
        tried.append(size)
        raise RuntimeError("something else")

    with pytest.raises(RuntimeError, match="something else"), advising_shorter(8):
        shrinking(broken, [4, 2, 1])
    assert tried == [4]
    with pytest.raises(OutOfMemoryError, match="8 tokens"), advising_fewer(3), advising_shorter(8):
        raise MemoryError


@pytest.mark.parametrize(
    "message",
    [
        "MPS backend out of memory (MPS allocated: 17.9 GB)",
        "DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes.",
        "data. DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes.",
        "std::bad_alloc",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
    ],
)
def test_a_lack_of_memory_is_known_by_what_it_says(message: str) -> None:
    """Most of them are errors without a class of their own."""

    def run(items: Sequence[int]) -> list[int]:
        if len(items) > 1:
            raise RuntimeError(message)
        return list(items)

    assert halving(run, [1, 2, 3]) == [1, 2, 3]


def test_an_error_is_told_with_options() -> None:
    """The command line says which option to pass, the server what to send."""
    with pytest.raises(OutOfMemoryError) as caught, advising_shorter(300):
        raise torch.OutOfMemoryError("CUDA out of memory")
    message, code, _ = told(caught.value)
    assert "--max-chunk-tokens 150" in message
    assert code == ExitCode.FAILED
    answer = of_model(caught.value)
    assert answer is not None
    assert (answer.status, answer.kind) == (424, "out_of_memory")
    assert "max_chunk_tokens=150" in str(answer)


@pytest.mark.parametrize(
    ("size", "least", "by", "expected"),
    [
        (4096, 256, 2, [4096, 2048, 1024, 512, 256]),
        (4096, 256, 4, [4096, 1024, 256]),
        (100, 256, 2, [100]),
        (300, 256, 4, [300, 75]),
        (3, 1, 4, [3, 1]),
    ],
)
def test_sizes_end_at_the_least(size: int, least: int, by: int, expected: list[int]) -> None:
    """Sizes fall by a factor until one is small enough."""
    assert sizes_down(size, least, by) == expected
