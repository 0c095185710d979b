"""Shards over a store that all of them share, without Ray: what was read once is found by all."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fsspec")

from attnmass import AttentionRanker, Chunk
from attnmass.cluster.holder import ShardHolder
from attnmass.cluster.remote import RemoteShard
from attnmass.cluster.settings import ClusterSettings
from attnmass.store.copying import push
from attnmass.store.disk import DiskStore
from attnmass.store.objects import ObjectStore
from tests.cluster.test_indexing import reader
from tests.cluster.test_remote import Elsewhere
from tests.engine.relevance import QUERY
from tests.layouts.test_shards import TEXTS, untimed

CHUNKS = [Chunk(text) for text in TEXTS]


@pytest.fixture
def url(tiny_folder: Path, tmp_path: Path) -> str:
    """A folder of files that has what an actor of `index_dataset` read into two shards."""
    reader(tiny_folder, tmp_path / "kept").read(CHUNKS)
    return pushed(tmp_path / "kept", tmp_path / "far")


def pushed(store: Path, far: Path) -> str:
    """The URL of a folder of files that has what shards have in a store."""
    with closing(ObjectStore(far.as_uri())) as objects:
        for folder in store.iterdir():
            with closing(DiskStore(folder, None)) as kept:
                assert push(kept, objects).values > 0
    return far.as_uri()


def settings(tiny_folder: Path, **more: Any) -> ClusterSettings:
    """Of a cluster of the tiny model."""
    args = {"model": str(tiny_folder), "heads": [[1, 0], [1, 3]], "batch_size": 1, "shards": 2}
    return ClusterSettings.of({**args, **more})


def loaded(options: tuple[str, dict[str, Any]]) -> AttentionRanker:
    """A process's ranker, as `attnmass.serving.ray` loads it."""
    model, loading = options
    return AttentionRanker.from_pretrained(model, **loading)


@pytest.mark.parametrize("memory_bytes", [0, 1 << 30])
@pytest.mark.parametrize("has_folder", [False, True])
def test_a_shard_that_is_rebuilt_finds_what_was_read(
    tiny_folder: Path, tmp_path: Path, url: str, *, memory_bytes: int, has_folder: bool
) -> None:
    """Shards that are new, or die at each call, read no chunk; results are those of one process."""
    folder = {"store": str(tmp_path / "disk")} if has_folder else {}
    of = settings(tiny_folder, shared_store=url, memory_bytes=memory_bytes, **folder)
    gateway = loaded(of.of_gateway())
    plain = settings(tiny_folder, memory_bytes=memory_bytes).of_shard("shard-0")
    one = loaded(plain)
    expected = untimed(one.rank(QUERY, CHUNKS))
    for deaths in (frozenset[int](), frozenset(range(20))):
        asks = {
            name: Elsewhere(lambda name=name: loaded(of.of_shard(name)), deaths)  # type: ignore[misc]
            for name in of.names
        }
        scope = gateway.shard.scope
        sharded = gateway.sharded({name: RemoteShard(ask, scope) for name, ask in asks.items()})
        before = sharded.stats.tokens_encoded
        assert untimed(sharded.rank(QUERY, CHUNKS)) == expected
        n_query = sharded.stats.tokens_encoded - before
        assert sharded.warm(CHUNKS).read == 0
        assert n_query < one.stats.tokens_encoded / 2  # the query's own
        assert all(set(ask.calls) == {"missing", "look"} for ask in asks.values())


def test_shards_ask_it_first(tiny_folder: Path, tmp_path: Path, url: str) -> None:
    """An actor that reads into empty folders finds that all is there, and reads nothing."""
    counts = reader(tiny_folder, tmp_path / "new", shared_store=url).read(CHUNKS)[1]
    assert (counts.read, counts.skipped, counts.tokens) == (0, len(TEXTS), 0)
    holder = ShardHolder(loaded(settings(tiny_folder, shared_store=url).of_shard("shard-0")))
    assert holder.stats().shared_failures == 0
