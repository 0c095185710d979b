"""Values at rest in files of an object store: a miss or what was written."""

from __future__ import annotations

import os
import pickle
import random
import threading
from pathlib import Path

import pytest

pytest.importorskip("fsspec")

import fsspec
from hypothesis import given, settings
from hypothesis import strategies as st

from attnmass.store import objects, packs
from attnmass.store.copying import push
from attnmass.store.entry import Entry
from attnmass.store.objects import ObjectStore
from tests.store.objects.bucket import ITEMS, ROOT, Faults, written
from tests.store.shared_by import CHUNKS, QUERY, ranker


@pytest.mark.parametrize("kind", ["memory", "file"])
@pytest.mark.parametrize("n_files", [1, 7])
def test_values(kind: str, n_files: int, tmp_path: Path) -> None:
    """What one machine wrote another one reads, with how many tokens it is, and learns of more."""
    url = ROOT if kind == "memory" else (tmp_path / "new" / "chunks").as_uri()
    other = ObjectStore(url)
    assert other.read(["key-1"]) == {}
    assert other.failures == 0
    written(url=url, n_files=n_files)
    assert other.read(list(ITEMS)) == {}  # it looked a moment ago
    other._listed = float("-inf")
    assert other.read([*ITEMS, "nothing"]) == ITEMS
    assert (other.hits, other.misses, other.failures) == (300, 302, 0)
    assert other.bytes_read == 300 * 100
    assert other.has(["key-3", "nothing", "key-99"]) == {"key-3", "key-99"}
    assert other.read([]) == {}
    assert sorted(other.keys()) == sorted(ITEMS)
    copied = pickle.loads(pickle.dumps(other))
    assert copied.read(["key-7"]) == {"key-7": ITEMS["key-7"]}
    other.close()
    assert other.read(["key-8"]) == {"key-8": ITEMS["key-8"]}


@given(
    items=st.dictionaries(st.text(), st.tuples(st.binary(), st.integers(0, 2**40)), max_size=20),
    chosen=st.randoms(use_true_random=False),
)
def test_files_have_what_was_packed(
    items: dict[str, tuple[bytes, int]], chosen: random.Random
) -> None:
    """Any keys and values come back, by the ranges that any choice of them needs."""
    entries = {key: Entry(*value) for key, value in items.items()}
    name, file = packs.packed(entries)
    places = packs.places_in(name, file[: packs.head_size(file)], len(file))
    assert places is not None
    asked = {key: at for key, at in places.items() if chosen.random() < 0.5}
    found = {
        key: packs.read_value(key, asked[key], file[asked[key].start :][: asked[key].size])
        for span in packs.spans(asked)
        for key in span.keys
        if span.start <= asked[key].start <= asked[key].start + asked[key].size <= span.end
    }
    assert found == {key: entries[key] for key in asked}


def test_few_requests(faults: Faults) -> None:
    """Neighbours come in one request, and what is known is not asked again."""
    written()
    store = ObjectStore(ROOT)
    faults.asked.clear()
    assert len(store.read([f"key-{n}" for n in range(100, 200)])) == 100
    assert faults.asked == ["ls", "cat_file", "cat_file"]  # what is there, its head, one range
    assert len(store.has(list(ITEMS))) == 300
    assert store.read(["missing"]) == {}
    assert len(faults.asked) == 3


def test_a_long_head(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is longer than what is read first is read whole."""
    monkeypatch.setattr(objects, "HEAD_BYTES", 100)
    written()
    assert ObjectStore(ROOT).read(list(ITEMS)) == ITEMS


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_damaged_files(seed: int) -> None:
    """Cut off, overwritten, or with bits that fell: what was written, or a miss, and no error."""
    numbers = random.Random(seed)
    items = {f"key-{n}": Entry(numbers.randbytes(50), n) for n in range(20)}
    files = fsspec.filesystem("memory")
    files.store.clear()
    for name in written(items, n_files=2):
        path = f"/bucket/chunks/{name}"
        data = bytearray(files.cat_file(path))
        how = numbers.randrange(4)
        if how == 0:
            del data[numbers.randrange(len(data)) :]
        elif how == 1:
            data[numbers.randrange(len(data))] ^= 1 << numbers.randrange(8)
        elif how == 2:
            start = numbers.randrange(len(data))
            data[start : start + 100] = numbers.randbytes(100)
        files.pipe_file(path, bytes(data))
    store = ObjectStore(ROOT)
    found = store.read(list(items))
    assert found.items() <= items.items()
    assert store.failures == 0
    assert store.read(list(items)) == found


def test_foreign_files(caplog: pytest.LogCaptureFixture) -> None:
    """Files of others, and those that say what cannot be, are left out, and the others are read."""
    (name,) = written()
    files = fsspec.filesystem("memory")
    whole = files.cat_file(f"/bucket/chunks/{name}")
    head = packs.head_size(whole)
    forged = {
        "readme.txt": b"hello",
        "empty.pack": b"",
        "short.pack": b"attnpak1",
        "zip.pack": b"PK\3\4" + bytes(500),
        "huge.pack": packs._HEADER.pack(b"attnpak1", 2**32 - 1, 2**32 - 1, 0) + bytes(500),
        "many.pack": packs._HEADER.pack(b"attnpak1", 2**32 - 1, 0, 0) + bytes(500),
        "head.pack": whole[:head],  # of another file, whose values are not here
        "moved.pack": whole[:head] + whole[head + 100 :] + bytes(100),  # each value under another
    }
    for each, data in forged.items():
        files.pipe_file(f"/bucket/chunks/{each}", data)
    store = ObjectStore(ROOT)
    found = store.read(list(ITEMS))
    assert found.items() <= ITEMS.items()
    assert store.failures == 0
    assert "remove the file" in caplog.text
    for each in forged:
        files.rm_file(f"/bucket/chunks/{each}")
    assert ObjectStore(ROOT).read(list(ITEMS)) == ITEMS


@pytest.mark.parametrize("folder", [False, True])
@pytest.mark.parametrize("memory_bytes", [0, 1 << 20])
def test_chunks_are_not_read_again(tmp_path: Path, *, folder: bool, memory_bytes: int) -> None:
    """What one machine read and pushed no other one reads; scores are the same to the last bit."""
    expected = ranker(None).rank(QUERY, CHUNKS)
    first = ranker(ROOT, store=str(tmp_path / "one"))
    assert first.rank(QUERY, CHUNKS).scores == expected.scores
    assert first.stats.shared_bytes_written == 0  # queries write nothing
    kept = first._cache.folder
    assert kept is not None
    assert push(kept, ObjectStore(ROOT)).values == 3
    store = str(tmp_path / "two") if folder else None
    second = ranker(ROOT, memory_bytes=memory_bytes, store=store)
    assert second.rank(QUERY, CHUNKS).scores == expected.scores
    assert (second.stats.misses, second.stats.shared_hits) == (0, 3)
    assert second.stats.shared_bytes_read > 0
    assert second.warm(CHUNKS).read == 0
    fsspec.filesystem("memory").store.clear()
    again = second.rank(QUERY, CHUNKS)
    assert again.scores == expected.scores
    assert second.stats.misses == (0 if folder or memory_bytes else 3)


def test_other_vectors_are_not_taken(tmp_path: Path) -> None:
    """A value that somebody wrote with its checksum, but of another shape, is read anew."""
    expected = ranker(None).rank(QUERY, CHUNKS)
    first = ranker(None, store=str(tmp_path / "one"))
    first.rank(QUERY, CHUNKS)
    kept = first._cache.folder
    assert kept is not None
    forged = {key: Entry(b"no vectors", tokens) for key, tokens in kept.tokens()}
    ObjectStore(ROOT).add(forged)
    second = ranker(ROOT)
    assert second.rank(QUERY, CHUNKS).scores == expected.scores
    assert second.stats.shared_hits == 3
    assert second.stats.misses == 3


def test_threads_share_a_store() -> None:
    """Many threads at once find what was written."""
    written(n_files=5)
    store = ObjectStore(ROOT)
    wrong: list[object] = []

    def work(seed: int) -> None:
        keys = random.Random(seed).sample(list(ITEMS), 50)
        for _ in range(20):
            if store.read(keys) != {key: ITEMS[key] for key in keys}:
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert (store.hits, store.failures) == (5 * 20 * 50, 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:This process.*fork:DeprecationWarning")
def test_a_child_begins_anew() -> None:
    """A forked process reads by connections of its own."""
    written()
    store = ObjectStore(ROOT)
    assert store.read(["key-1"]) == {"key-1": ITEMS["key-1"]}
    child = os.fork()
    if child == 0:
        os._exit(0 if store.read(["key-2"]) == {"key-2": ITEMS["key-2"]} else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where fsspec, or what it needs for an address, is missing it is said what to install."""
    with pytest.raises(ImportError, match="gcsfs"):
        ObjectStore("gs://bucket/chunks")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r'pip install "attnmass\[fsspec\]"'):
        ObjectStore(ROOT)
