"""Runs the model over labelled queries, once each, and keeps what its heads gave."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from tqdm.auto import tqdm

from attnmass.errors import CaptureError
from attnmass.fitting.captures.store import Capture, Store
from attnmass.fitting.errors import DataError
from attnmass.fitting.queries.data import digest
from attnmass.fitting.queries.items import LabelledQuery
from attnmass.layouts import QueryAttention
from attnmass.ranker import AttentionRanker
from attnmass.scoring.masses import chunk_masses
from attnmass.text.chunk import Chunk
from attnmass.text.inputs import read_chunks
from attnmass.text.tokens import PlainTokenizer
from attnmass.trimming import TokenMass, span_masses

Found = TypeVar("Found")


def capture_all(
    queries: Sequence[LabelledQuery],
    look: Callable[[LabelledQuery], Capture],
    store: Store,
    *,
    desc: str,
    progress: bool | None,
) -> list[Capture]:
    """Capture each query, or read what an earlier run captured for it.

    Args:
        queries: What to capture.
        look: Runs the model over one of them.
        store: Where captures are kept.
        desc: What the progress bar says.
        progress: Whether there is one; `None`: only on a terminal.

    Raises:
        DataError: If the model cannot read a query; names its place.
        CaptureError: As the ranker; also names the place.
    """
    names = [digest(query) for query in queries]
    known = sum(store.has(name) for name in names)
    captures = []
    with bar_of(len(queries), desc, progress, initial=known) as bar:
        for name, query in zip(names, queries, strict=True):
            found = store.read(name)
            if found is None:
                found = with_place(query, look)
                store.write(name, found)
                bar.update()
            captures.append(found)
    return captures


def look_at_heads(
    ranker: AttentionRanker, plain: PlainTokenizer
) -> Callable[[LabelledQuery], Capture]:
    """Capture what each head of a ranker's profile gives chunks and labelled sentences."""

    def look(query: LabelledQuery) -> Capture:
        chunks = chunks_of(query)
        found = ranker.attention(query.query, chunks)
        spans, tokens = None, None
        if query.has_sentences:
            spans, tokens = _spans(found, chunks, query, plain)
        return Capture(
            _sums(found),
            np.array([chunk.shape[1] for chunk in found.chunks], dtype=np.float32),
            None if found.null is None else _sums_of(found.null),
            spans,
            tokens,
        )

    return look


def look_at_chunks(ranker: AttentionRanker) -> Callable[[LabelledQuery], Capture]:
    """Capture the mass of each chunk as in rankings, as if it were of one head, `[1, chunk]`."""

    def look(query: LabelledQuery) -> Capture:
        found = ranker.attention(query.query, chunks_of(query))
        masses = chunk_masses(found, ranker.profile.chunk_weights)
        counts = [chunk.shape[1] for chunk in found.chunks]
        return Capture(np.array([masses]), np.array(counts, dtype=np.float32))

    return look


def chunks_of(query: LabelledQuery) -> list[Chunk]:
    """The query's candidates as rankers take them."""
    return [Chunk(chunk.text, chunk.title) for chunk in query.chunks]


def _sums(found: QueryAttention) -> Any:
    """Mass of each chunk, `[head, chunk]`, as the layout gives it."""
    if found.sums is not None:
        return found.sums.T.numpy().astype(np.float32)
    return _sums_of(found.chunks)


def _sums_of(chunks: Sequence[Any]) -> Any:
    """The same, summed over tokens."""
    return np.stack([chunk.double().sum(dim=1).numpy() for chunk in chunks], axis=1).astype(
        np.float32
    )


def _spans(
    found: QueryAttention, chunks: Sequence[Chunk], query: LabelledQuery, plain: PlainTokenizer
) -> tuple[Any, Any]:
    """Masses `[head, span]` and token counts `[span]` of the labelled sentences."""
    inputs = read_chunks(chunks, plain)
    parts = []
    for index, (attention, chunk) in enumerate(zip(found.beyond_null, query.chunks, strict=True)):
        sentences = [(start, end) for start, end, _ in chunk.sentences or ()]
        read = inputs.tokens.get(index)  # a text may have no tokens for this model
        offsets = np.array(() if read is None else read.offsets, dtype=np.int64).reshape(-1, 2)
        rows = attention.double().clamp(min=0).numpy()
        parts.append(span_masses(TokenMass(rows, offsets, inputs.start(index)), sentences))
    masses = np.concatenate([mass for mass, _ in parts], axis=1).astype(np.float32)
    return masses, np.concatenate([counts for _, counts in parts]).astype(np.float32)


def with_place(query: LabelledQuery, look: Callable[[LabelledQuery], Found]) -> Found:
    """`look(query)`, whose errors name the query's place."""
    try:
        return look(query)
    except ValueError as error:
        raise DataError(f"{query.place}: {error}") from error
    except CaptureError as error:
        raise CaptureError(f"{query.place}: {error}") from error


def bar_of(
    total: int, desc: str, progress: bool | None, *, initial: int = 0, unit: str = "query"
) -> tqdm[Any]:
    """A progress bar with the time left; `progress` is as in `capture_all`."""
    disable = None if progress is None else not progress
    return tqdm(total=total, initial=initial, desc=desc, unit=unit, disable=disable)
