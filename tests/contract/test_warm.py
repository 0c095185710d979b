"""What both adapters promise of reading ahead and of the chunk cache, in one suite."""

from __future__ import annotations

import asyncio
import copy
import pickle
from pathlib import Path
from typing import Any

import pytest

from attnmass import AttentionRanker
from tests.conftest import HEADS
from tests.contract.adapters import Adapter, Candidate
from tests.contract.candidates import QUERY, TEXTS
from tests.contract.stub import StubRanker
from tests.tiny import tiny_model, tiny_tokenizer

CANDIDATES = [
    Candidate(text, 0.5, f"id-{place}", {"title": f"T{place}", "tags": ["a"]})
    for place, text in enumerate(TEXTS)
]


@pytest.fixture
def empty() -> AttentionRanker:
    """A ranker that has read nothing yet."""
    return AttentionRanker(tiny_model(), tiny_tokenizer(), heads=HEADS)


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_what_was_ingested_is_not_read_again(
    adapter: Adapter,
    empty: AttentionRanker,
    *,
    is_async: bool,
) -> None:
    """The warmer reads exactly what the reranker will read, metadata included."""
    rerank = adapter.Rerank.from_ranker(empty)
    found = adapter.build(CANDIDATES)
    warmer, stored = adapter.Warmer(rerank=rerank), adapter.stored(found)
    if is_async:
        asyncio.run(adapter.aingest(warmer, stored))
    else:
        adapter.ingest(warmer, stored)
    assert empty.stats.tokens_encoded > 0
    before = empty.stats
    once = adapter.run(rerank, found, QUERY)
    assert (empty.stats.hits, empty.stats.misses) == (len(TEXTS), 0)
    adapter.run(rerank, once, QUERY)  # what reranking adds is not read
    assert empty.stats.tokens_encoded == before.tokens_encoded
    assert empty.stats.misses == 0


def test_ingestion_passes_on_what_came_in(adapter: Adapter, empty: AttentionRanker) -> None:
    """The same objects come out, unchanged."""
    stored = adapter.stored(adapter.build(CANDIDATES))
    before = copy.deepcopy(stored)
    result = adapter.ingest(adapter.Warmer(rerank=adapter.Rerank.from_ranker(empty)), stored)
    assert all(now is then for now, then in zip(result, stored, strict=True))
    assert stored == before


def test_warm_says_what_it_did(adapter: Adapter, empty: AttentionRanker) -> None:
    """The reranker's own method counts what was read and what was there."""
    rerank = adapter.Rerank.from_ranker(empty)
    stored = adapter.stored(adapter.build(CANDIDATES))
    assert (rerank.warm(stored[:2]).read, rerank.warm(stored).skipped) == (2, 2)
    assert asyncio.run(rerank.awarm(stored)).skipped == len(TEXTS)


def test_nothing_to_warm_loads_no_model(adapter: Adapter) -> None:
    """An empty batch of ingestion costs nothing."""
    rerank = adapter.Rerank(model="no/such-model")
    assert rerank.warm([]).read == 0
    assert list(adapter.ingest(adapter.Warmer(rerank=rerank), [])) == []


def test_failures_are_raised(adapter: Adapter) -> None:
    """Ingestion that did not warm says so, also where queries would be passed through."""
    stub = StubRanker(error=RuntimeError("boom"))
    rerank = adapter.Rerank.from_ranker(stub, on_error="passthrough")
    with pytest.raises(RuntimeError, match="boom"):
        adapter.ingest(adapter.Warmer(rerank=rerank), adapter.stored(adapter.build(CANDIDATES)))


@pytest.mark.in_process
def test_options_reach_the_core(adapter: Adapter) -> None:
    """Batch size and progress bar are those of the reranker; async calls have its thread."""
    stub = StubRanker()
    rerank = adapter.Rerank.from_ranker(stub, batch_size=3, show_progress=True)
    asyncio.run(rerank.awarm(adapter.stored(adapter.build(CANDIDATES))))
    assert stub.calls[0].options == {"batch_size": 3, "progress": True}
    assert stub.calls[0].thread.startswith("attnmass")


@pytest.mark.parametrize(
    "fields",
    [
        {"memory_bytes": -1},
        {"store_bytes": 0, "store": "chunks"},
        {"store_format": "int4"},
    ],
    ids=str,
)
def test_bad_values_fail_at_construction(
    adapter: Adapter,
    fields: dict[str, Any],
) -> None:
    """A cache that cannot be is refused before any model is loaded."""
    with pytest.raises(ValueError, match=next(iter(fields))):
        adapter.Rerank(**fields)


def test_contradictions_fail_at_construction(adapter: Adapter) -> None:
    """Options of a cache that is not there are refused, too."""
    with pytest.raises(ValueError, match="there is none"):
        adapter.Rerank(store_bytes=1000)
    with pytest.raises(ValueError, match="needs a cache"):
        adapter.Rerank(memory_bytes=0, store_format="int8")


def test_a_folder_outlives_the_model(
    adapter: Adapter,
    tiny_folder: Path,
    tmp_path: Path,
) -> None:
    """What was warmed is there for a reranker that is unpickled, or loads its model again."""
    rerank = adapter.Rerank(
        model=tiny_folder, heads=HEADS, dtype="float32", store=tmp_path, memory_bytes=0
    )
    found = adapter.build(CANDIDATES)
    rerank.warm(adapter.stored(found))
    rerank.release()
    other = pickle.loads(pickle.dumps(rerank))
    assert other.store == str(tmp_path)
    adapter.run(other, found, QUERY)
    stats = other._load().stats
    assert (stats.hits, stats.misses, stats.memory_bytes) == (len(TEXTS), 0, 0)


def test_a_model_in_memory_gets_a_cache(adapter: Adapter, tmp_path: Path) -> None:
    """`from_model` takes the options of the cache, and keeps them for what is serialized."""
    rerank = adapter.Rerank.from_model(
        tiny_model(), tiny_tokenizer(), heads=HEADS, store=tmp_path, memory_bytes=1000
    )
    rerank.warm(adapter.stored(adapter.build(CANDIDATES)))
    assert list(tmp_path.iterdir())
    assert (rerank.store, rerank.memory_bytes) == (str(tmp_path), 1000)
    with pytest.raises(ValueError, match="leave out memory_bytes"):
        adapter.Rerank.from_ranker(rerank._load(), memory_bytes=1000)


@pytest.mark.parametrize("memory_bytes", [0, None])
def test_bounds_that_are_not_the_default_are_kept(
    adapter: Adapter,
    tiny_folder: Path,
    memory_bytes: int | None,
) -> None:
    """0 and `None` reach the shared ranker, and make it another one than the default."""
    fields: dict[str, Any] = {"model": tiny_folder, "heads": HEADS, "dtype": "float32"}
    plain = adapter.Rerank(**fields)._load()
    other = adapter.Rerank(**fields, memory_bytes=memory_bytes)._load()
    assert other is not plain
    assert other._cache.options.memory_bytes == memory_bytes
    assert adapter.Rerank(**fields)._load() is plain


def test_a_warmer_takes_a_reranker_alone(adapter: Adapter) -> None:
    """What is assigned to it later is checked, and what is refused is not kept."""
    rerank = adapter.Rerank.from_ranker(StubRanker())
    warmer = adapter.Warmer(rerank=rerank)
    for wrong in (5, "rerank"):
        with pytest.raises((ValueError, TypeError), match="rerank"):
            warmer.rerank = wrong
        assert warmer.rerank is rerank
    warmer.rerank = other = adapter.Rerank()
    assert warmer.rerank is other
