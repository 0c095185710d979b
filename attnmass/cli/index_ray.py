"""Reading into a store by actors of Ray."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from attnmass.cli.arguments import model_arguments
from attnmass.cli.errors import CliError, ExitCode
from attnmass.cli.index_jobs import Batches, Done, n_characters
from attnmass.cli.model_options import ModelOptions, StoreGroup
from attnmass.options.choices import DEFAULT_MODEL
from attnmass.text.chunk import Chunk

_AT_ONCE = 64  # batches that one dataset has: what is held of the corpus at any time
_ROWS = 32  # of a dataset that an actor gets at once


def read_by_ray(
    model: ModelOptions, store: StoreGroup, batches: Batches, *, jobs: int, shards: int
) -> Iterator[Done]:
    """Read batch after batch on actors; no more of the corpus is held than a dataset has.

    Raises:
        CliError: If Ray cannot be started or reached, or the actors failed.
    """
    import ray
    from ray.data import DataContext
    from ray.exceptions import RayError

    options = {"model": model.model or DEFAULT_MODEL, **model_arguments(model)}
    given = store.given()
    options |= {name: given[name] for name in ("store_bytes", "shared_store") if name in given}
    ours = not ray.is_initialized()
    try:
        if ours:
            ray.init(include_dashboard=False, log_to_driver=False, logging_level="error")
        context = DataContext.get_current()
        context.enable_progress_bars = context.print_on_execution_start = False
        while rows := [chunk for batch in islice(batches, _AT_ONCE) for chunk in batch]:
            yield from _read(rows, str(store.store), jobs, shards, options)
    except (RayError, ConnectionError) as error:
        cause = getattr(error, "cause", None) or error
        said = next(filter(None, reversed(str(cause).splitlines())), type(cause).__name__)
        raise CliError(f"Ray: {said}", ExitCode.FAILED, "what was read is in the store") from error
    finally:
        if ours:
            ray.shutdown()


def _read(
    chunks: list[Chunk], store: str, jobs: int, shards: int, options: dict[str, Any]
) -> Iterator[Done]:
    """Read one dataset's chunks."""
    import ray

    from attnmass.cluster.indexing import index_dataset

    rows = [{"text": chunk.text, "title": chunk.title} for chunk in chunks]
    length = sum(map(n_characters, chunks)) / len(chunks)
    found = index_dataset(
        ray.data.from_items(rows),
        store=store,
        title="title",
        shards=shards,
        actors=jobs,
        batch_size=_ROWS,
        counts=True,
        **options,
    )
    for row in found.iter_rows():
        n_chunks = row["chunks"]
        yield Done(
            chunks=n_chunks,
            characters=round(length * n_chunks),
            read=row["read"],
            skipped=row["skipped"],
            unreadable=row["unreadable"] + row["failed"],
            evicted=row["evicted"],
            tokens=row["tokens"],
            characters_read=round(length * row["read"]),
            seconds=row["seconds"],
            trouble=row["trouble"],
        )
