"""A Redis behind the store: what is there is used, and whatever goes wrong there is a miss."""

from __future__ import annotations

import logging
import pickle
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("redis")

import redis

from attnmass.store import shared
from attnmass.store.entry import Entry
from attnmass.store.shared import SharedStore
from tests.store.redises import Redises, redises, slow
from tests.store.shared_by import CHUNKS, QUERY, ranker

ITEMS = {f"key-{n}": Entry(bytes([n % 256]) * 100, n) for n in range(100)}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Redises]:
    """A server that is empty."""
    with redises(tmp_path) as found:
        yield found


def test_values(server: Redises) -> None:
    """What one machine wrote another one reads, many at a time, with how many tokens it is."""
    one, other = SharedStore(server.url), SharedStore(server.url)
    one.write(ITEMS)
    assert other.read([*ITEMS, "nothing"]) == ITEMS
    assert (other.hits, other.misses, other.failures) == (100, 1, 0)
    assert other.has(["key-3", "nothing", "key-99"]) == {"key-3", "key-99"}
    assert other.read([]) == {}
    assert pickle.loads(pickle.dumps(one)).url == server.url
    for each in (one, other):
        each.close()


def test_what_is_not_what_was_written(server: Redises, caplog: pytest.LogCaptureFixture) -> None:
    """A damaged, a foreign and a misplaced value are misses, by the store's own checksum."""
    store = SharedStore(server.url)
    store.write({"a": Entry(b"abc", 1), "b": Entry(b"abc", 1)})
    with redis.Redis.from_url(server.url) as raw:
        whole = raw.get("attnmass:1:a")
        raw.set("attnmass:1:b", whole)  # of another key
        raw.set("attnmass:1:a", whole[:-1] + b"d")
        raw.set("attnmass:1:c", b"short")
        raw.set("attnmass:1:d", b"")
    assert store.read(list("abcd")) == {}
    assert store.misses == 4
    assert "left out" in caplog.text
    store.close()


def test_a_stopped_server(server: Redises, caplog: pytest.LogCaptureFixture) -> None:
    """It is asked once, then left alone for a while, and used again when it is back."""
    store = SharedStore(server.url)
    store.write(ITEMS)
    server.stop()
    started = time.monotonic()
    for _ in range(50):
        assert store.read(list(ITEMS)) == {}
        store.write(ITEMS)
        assert store.has(list(ITEMS)) == set()
    assert time.monotonic() - started < 2
    assert store.failures == 150
    assert store.misses == 50 * 100
    assert "cannot be used" in str(store.trouble)
    assert len(caplog.records) == 1
    server.start()
    store._resting_until = 0.0
    store.write(ITEMS)
    assert len(store.read(list(ITEMS))) == 100
    store.close()


@pytest.mark.parametrize("seconds", [0.2, 5.0])
def test_a_slow_server(server: Redises, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits longer than a little: neither for silence nor for a trickle."""
    monkeypatch.setattr(shared, "_PATIENCE", 0.5)
    direct = SharedStore(server.url)
    direct.write(ITEMS)
    with slow(server.port, seconds) as url:
        store = SharedStore(url)
        started = time.monotonic()
        found = store.read(list(ITEMS))
        assert time.monotonic() - started < 2.5
        assert len(found) < 100
        assert store.failures == 1
        assert found.items() <= ITEMS.items()
        store.close()
    direct.close()


@pytest.mark.parametrize("policy", ["noeviction", "allkeys-lru"])
def test_a_full_server(tmp_path: Path, policy: str) -> None:
    """What it does not take is not kept, which is told; what it kept is still read."""
    with redises(tmp_path, "--maxmemory", "3mb", "--maxmemory-policy", policy) as server:
        store = SharedStore(server.url)
        large = {f"k{n}": Entry(bytes(100_000), n) for n in range(60)}
        store.write(large)
        found = store.read(list(large))
        assert 0 < len(found) < 60
        assert found.items() <= large.items()
        assert bool(store.failures) == (policy == "noeviction")
        assert ("maxmemory" in str(store.trouble)) == (policy == "noeviction")
        store.close()


def test_a_server_with_a_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes from the environment; without it nothing is kept, and nothing fails."""
    with redises(tmp_path, "--requirepass", "secret") as server:
        store = SharedStore(server.url)
        store.write(ITEMS)
        assert store.failures == 1
        store.close()
        monkeypatch.setenv("ATTNMASS_REDIS_PASSWORD", "secret")
        store = SharedStore(server.url)
        store.write(ITEMS)
        assert len(store.read(list(ITEMS))) == 100
        assert "secret" not in repr(vars(store)["url"])
        store.close()


@pytest.mark.parametrize("folder", [False, True])
@pytest.mark.parametrize("memory_bytes", [0, 1 << 20])
def test_chunks_are_read_once_for_all_machines(
    server: Redises, tmp_path: Path, *, folder: bool, memory_bytes: int
) -> None:
    """What one machine read no other one reads, and scores are the same to the last bit."""
    expected = ranker(None).rank(QUERY, CHUNKS)
    options: dict[str, Any] = {"memory_bytes": memory_bytes}
    first = ranker(server.url, **options, store=str(tmp_path / "one") if folder else None)
    assert first.rank(QUERY, CHUNKS).scores == expected.scores
    second = ranker(server.url, **options, store=str(tmp_path / "two") if folder else None)
    assert second.rank(QUERY, CHUNKS).scores == expected.scores
    assert (second.stats.misses, second.stats.shared_hits) == (0, 3)
    assert second.warm(CHUNKS).read == 0
    server.stop()
    again = second.rank(QUERY, CHUNKS)
    assert again.scores == expected.scores
    kept = folder or memory_bytes > 0
    assert second.stats.misses == (0 if kept else 3)
    assert (second.stats.shared_failures > 0) == (not kept)
    for each in (first, second):
        each._cache.lasting.shared.close()


def test_without_a_server(caplog: pytest.LogCaptureFixture) -> None:
    """One that was never there costs a warning and no ranking."""
    caplog.set_level(logging.WARNING)
    found = ranker("redis://127.0.0.1:1/0", memory_bytes=0)
    assert found.rank(QUERY, CHUNKS).scores == ranker(None).rank(QUERY, CHUNKS).scores
    assert found.stats.shared_failures > 0
    assert found.stats.shared_misses == 3
    assert found.stats.shared_trouble is not None
    assert "cannot be used" in caplog.text
    found._cache.lasting.shared.close()


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where redis is missing it is said what to install."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r'pip install "attnmass\[redis\]"'):
        SharedStore("redis://127.0.0.1:1/0")
