"""The default model, or another, in the layout `late`, as most of its benchmarks open it."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attnmass import AttentionRanker
from benchmarks.quality import MODEL


@contextmanager
def late_ranker(
    arguments: argparse.Namespace, *, model: str = MODEL, memory_bytes: int | None = None
) -> Iterator[AttentionRanker]:
    """Open it.

    Args:
        arguments: With `store`, `None` for one that is removed afterwards, and `dtype`.
        model: Which.
        memory_bytes: What it may keep in memory; default: the ranker's own.
    """
    memory = {} if memory_bytes is None else {"memory_bytes": memory_bytes}
    with tempfile.TemporaryDirectory() as folder:
        yield AttentionRanker.from_pretrained(
            model,
            layout="late",
            store=arguments.store or folder,
            dtype=arguments.dtype,
            **memory,  # type: ignore[arg-type]
        )


def results_of(model: str, results: Path) -> Path:
    """Where a model's results are.

    Args:
        model: Which.
        results: Where those of the default model are.
    """
    return results if model == MODEL else results.with_name(f"{results.stem}.{model}.json")
