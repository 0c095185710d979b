"""Reads a dataset of Ray Data into the stores of shards, on a pool of actors."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnmass.cluster.extra import check
from attnmass.engine.making import LOADING, settled
from attnmass.models.kernels import bound_kernels
from attnmass.options.checks import check_count
from attnmass.options.choices import DEFAULT_MODEL
from attnmass.options.clustering import shard_names
from attnmass.text.chunk import Chunk

if TYPE_CHECKING:
    import pyarrow as pa
    from ray.data import Dataset

ERROR = "error"  # the column that says what is wrong with a row

_OF_SHARDS = ("store_bytes", "shared_store")


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of a batch.

    Attributes:
        chunks: How many rows it had.
        read: Chunks that the model read.
        skipped: Chunks that were in the store.
        unreadable: Chunks that have nothing to read.
        failed: Chunks that could not be read.
        evicted: Entries that were evicted from the store.
        tokens: Tokens that the model read.
        seconds: Seconds that it took.
        trouble: Why the store could not be used.
    """

    chunks: int
    read: int
    skipped: int
    unreadable: int
    failed: int
    evicted: int
    tokens: int
    seconds: float
    trouble: str | None


def index_dataset(
    dataset: Dataset,
    *,
    store: str,
    column: str = "text",
    title: str | None = None,
    shards: int = 1,
    actors: int = 1,
    batch_size: int = 64,
    counts: bool = False,
    **options: Any,
) -> Dataset:
    """Read the texts of a dataset into a store, on a pool of actors that each have the model.

    Like all of Ray Data, it runs once its result is asked for. What is already in the store is not
    read again, so that a run that was cut short resumes where it stopped. A row that cannot be read
    is reported in a column of its own, and no other row is lost because of it.

    Args:
        dataset: Any dataset with a column of texts.
        store: Folder that all actors can reach. With one shard, it is what `store` is elsewhere, as
            for `AttentionRanker`; with more, it has a folder for each, `shard-0` and so on, where
            `attnmass.serving.ray` looks for them.
        column: The column of texts.
        title: The column of titles, where chunks are ranked with them.
        shards: How many parts chunks are distributed over, by a hash of their tokens.
        actors: How many actors read.
        batch_size: Rows that an actor gets at once.
        counts: Whether to return, instead of the dataset's rows, one row for each batch that says
            what became of it, see `Counts`.
        **options: `model` and the options of `AttentionRanker.from_pretrained`; `store_bytes` is
            for each shard, `shared_store` behind all of them.

    Returns:
        The dataset with a column `error` of texts, null where nothing went wrong; blank texts are
        not an error.

    Raises:
        ImportError: If Ray is not installed.
        TypeError: If an option does not exist.
        ValueError: If a number or an option is invalid, or the dataset has no such column, or
            already has an `error`.
    """
    check()
    for name, value in (("shards", shards), ("actors", actors), ("batch_size", batch_size)):
        check_count(name, value, 1)
    settled(LOADING, {name: value for name, value in options.items() if name != "model"})
    known = dataset.schema()
    names = [] if known is None else list(known.names)
    missing = [name for name in (column, title) if name is not None and name not in names]
    if names and missing:
        raise ValueError(f"the dataset has no column {missing[0]!r}: it has {', '.join(names)}")
    if ERROR in names and not counts:
        raise ValueError(f"the dataset has a column {ERROR!r} already: rename it before")
    from ray.data import ActorPoolStrategy

    found: Dataset = dataset.map_batches(
        Reader,
        fn_constructor_kwargs={
            "store": store,
            "columns": (column, title),
            "shards": shards,
            "counts": counts,
            "options": options,
        },
        batch_size=batch_size,
        batch_format="pyarrow",
        compute=ActorPoolStrategy(size=actors),
    )
    return found


class Reader:
    """One actor: a model, and the stores that it writes."""

    def __init__(
        self,
        *,
        store: str,
        columns: tuple[str, str | None],
        shards: int,
        counts: bool,
        options: Mapping[str, Any],
    ) -> None:
        """Load the model; arguments as in `index_dataset`."""
        from attnmass.ranker import AttentionRanker

        bound_kernels()
        given = {"layout": "late", **options}
        model = given.pop("model", DEFAULT_MODEL)
        storing = {name: given.pop(name) for name in _OF_SHARDS if name in given}
        ranker = AttentionRanker.from_pretrained(model, **{**given, "memory_bytes": 0})
        folders = [store] if shards == 1 else [str(Path(store) / n) for n in shard_names(shards)]
        self._shards = {
            name: ranker.shard_in(store=folder, memory_bytes=0, **storing)
            for name, folder in zip(shard_names(shards), folders, strict=True)
        }
        self._ranker = ranker.sharded(self._shards)
        self._text, self._title = columns
        self._counts = counts

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Read a batch; see `index_dataset` for what is returned."""
        import pyarrow as pa

        chunks = _chunks(batch, self._text, self._title)
        errors, counts = self.read(chunks)
        if self._counts:
            return pa.Table.from_pylist([asdict(counts)], schema=_schema())
        return batch.append_column(ERROR, pa.array(errors, type=pa.string()))

    def read(self, chunks: Sequence[Chunk | None]) -> tuple[list[str | None], Counts]:
        """Read chunks, `None` for what is not text; returns what is wrong with each, and counts."""
        started, before = time.perf_counter(), self._ranker.stats.tokens_encoded
        evicted = self._evictions
        errors: list[str | None] = ["not text" if chunk is None else None for chunk in chunks]
        there = [place for place, chunk in enumerate(chunks) if chunk is not None]
        results = []
        try:
            results.append(self._warm([chunks[place] for place in there]))
        except Exception:  # one of them is to blame: the others are read by themselves
            for place in there:
                try:
                    results.append(self._warm([chunks[place]]))
                except Exception as error:
                    errors[place] = f"{type(error).__name__}: {error}"
        trouble = next(filter(None, (shard.trouble for shard in self._shards.values())), None)
        if trouble is not None:
            errors = [error or trouble for error in errors]
        return errors, Counts(
            chunks=len(chunks),
            read=sum(each.read for each in results),
            skipped=sum(each.skipped for each in results),
            unreadable=sum(each.unreadable for each in results),
            failed=sum(error is not None for error in errors),
            evicted=self._evictions - evicted,
            tokens=self._ranker.stats.tokens_encoded - before,
            seconds=time.perf_counter() - started,
            trouble=trouble,
        )

    def _warm(self, chunks: Sequence[Chunk | None]) -> Any:
        return self._ranker.warm([chunk for chunk in chunks if chunk is not None])

    @property
    def _evictions(self) -> int:
        return sum(shard.evictions for shard in self._shards.values())


def _chunks(batch: pa.Table, text: str, title: str | None) -> list[Chunk | None]:
    """The chunk of each row; `None` where its text or title is not text."""
    texts = batch.column(text).to_pylist()
    titles = [None] * len(texts) if title is None else batch.column(title).to_pylist()
    return [
        Chunk(text, title) if isinstance(text, str) and isinstance(title, str | None) else None
        for text, title in zip(texts, titles, strict=True)
    ]


def _schema() -> pa.Schema:
    import pyarrow as pa

    kinds = {"seconds": pa.float64(), "trouble": pa.string()}
    return pa.schema([(name, kinds.get(name, pa.int64())) for name in Counts.__dataclass_fields__])
