"""Through the ranker: whatever is in the cache, scores are the same, and it says what it did."""

from __future__ import annotations

import copy
import logging
import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from attnmass import AttentionRanker, Chunk, RankerStats
from attnmass.capture import KeyValues
from attnmass.store.disk import FILE_NAME
from attnmass.store.formats import held_bytes
from attnmass.text.prompt import chunk_text
from tests.capture.families import DECODERS, Family
from tests.store.cached import CHUNKS, QUERY, build, texts_read
from tests.tiny import tiny_model, tiny_tokenizer


def of_family(family: Family) -> tuple[Any, Any]:
    """A model of a family that knows the tiny tokenizer's words."""
    config = copy.deepcopy(family.config)
    config.vocab_size, config.max_position_embeddings = 512, 1024
    if hasattr(config, "n_positions"):
        config.n_positions = 1024
    if getattr(config, "sliding_window", None):
        config.sliding_window = 120  # over a part of the chunks
    return tiny_model(config), tiny_tokenizer()


@pytest.mark.parametrize("family", DECODERS, ids=lambda family: family.name)
def test_same_scores_whatever_is_there(family: Family, tmp_path: Path) -> None:
    """Cold, warm, from the folder and half full, with windows: scores agree to 1e-5 in float32."""
    made = of_family(family)
    options: Any = {"heads": [(0, 1), (1, 0), (1, 2)], "max_chunk_tokens": 40}
    expected = AttentionRanker(*made, **options, memory_bytes=0).rank(QUERY, CHUNKS).scores
    assert max(expected) > 0.01

    cached = AttentionRanker(*made, **options, store=tmp_path)
    for _ in ("cold", "warm"):
        assert cached.rank(QUERY, CHUNKS).scores == pytest.approx(expected, abs=1e-5)
    assert cached.stats.hits == cached.stats.misses > len(set(CHUNKS))

    later = AttentionRanker(*made, **options, store=tmp_path)
    assert later.rank(QUERY, CHUNKS).scores == pytest.approx(expected, abs=1e-5)
    assert (later.stats.misses, later.stats.tokens_encoded) == (0, 0)

    half = AttentionRanker(*made, **options)
    half.rank("another query", CHUNKS[:2])
    assert half.rank(QUERY, CHUNKS).scores == pytest.approx(expected, abs=1e-5)
    assert 0 < half.stats.hits < half.stats.misses


@pytest.mark.parametrize("store_format", ["float16", "bfloat16", "int8"])
def test_smaller_formats(store_format: str, tmp_path: Path) -> None:
    """A smaller format costs a little of the scores, the same whether chunks were there or not."""
    exact = build().rank(QUERY, CHUNKS).scores
    ranker = build(store_format=store_format, store=tmp_path)
    cold = ranker.rank(QUERY, CHUNKS).scores
    assert cold == pytest.approx(exact, abs=0.05)
    assert cold != pytest.approx(exact, abs=1e-7)
    later = build(store_format=store_format, store=tmp_path)
    for scores in (ranker.rank(QUERY, CHUNKS).scores, later.rank(QUERY, CHUNKS).scores):
        assert scores == pytest.approx(cold, abs=1e-5)
    plain = build()
    plain.rank(QUERY, CHUNKS)
    assert ranker.stats.memory_bytes < 0.6 * plain.stats.memory_bytes


def test_a_format_is_part_of_the_key(tmp_path: Path) -> None:
    """What was kept in int8 is not used by a ranker that keeps all of it."""
    build(store_format="int8", store=tmp_path).warm(CHUNKS)
    assert build(store=tmp_path).warm(CHUNKS).skipped == 0


def test_chunks_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text is read by the model once, however often and under however many queries it comes."""
    ranker = build()
    rows = texts_read(monkeypatch)
    ranker.rank(QUERY, CHUNKS)
    assert len(rows) == len(set(CHUNKS))
    ranker.rank_batch(["trains", "numbers"], CHUNKS[::-1])
    ranker.attention(QUERY, CHUNKS[:3])
    assert len(rows) == len(set(CHUNKS))
    ranker.rank(QUERY, [*CHUNKS, "new words"])
    assert len(rows) == len(set(CHUNKS)) + 1


def test_without_a_cache_chunks_are_read_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """`memory_bytes=0` keeps nothing."""
    ranker = build(memory_bytes=0)
    rows = texts_read(monkeypatch)
    for _ in range(2):
        ranker.rank(QUERY, CHUNKS)
    assert len(rows) == 2 * len(set(CHUNKS))
    assert ranker.stats.memory_bytes == ranker.stats.hits == ranker.stats.misses == 0


def test_titles_count() -> None:
    """The same text under another title is another chunk."""
    ranker = build()
    ranker.rank(QUERY, [Chunk(CHUNKS[0], title="One")])
    ranker.rank(QUERY, [Chunk(CHUNKS[0], title="Two"), Chunk(CHUNKS[0])])
    assert ranker.stats.hits == 0
    ranker.rank(QUERY, [chunk_text(Chunk(CHUNKS[0], title="One"))])
    assert ranker.stats.hits == 1


def test_bytes_are_bounded_and_exact() -> None:
    """Memory never holds more than was said, and says to the byte what it holds."""
    limit = 20_000
    ranker = build(memory_bytes=limit)
    for start in range(10):
        ranker.rank(QUERY, [f"{text} {start}" for text in CHUNKS])
        memory = ranker._cache.memory
        assert ranker.stats.memory_bytes == sum(map(held_bytes, memory.values())) <= limit
    assert ranker.stats.evictions > 0


def test_more_chunks_than_the_bound_holds() -> None:
    """A set of chunks that does not fit is ranked all the same, and what fits is kept."""
    many = [f"{text} {number}" for number in range(10) for text in CHUNKS]
    ranker = build(memory_bytes=20_000)
    for _ in range(2):
        assert ranker.rank(QUERY, many).scores == pytest.approx(
            build(memory_bytes=0).rank(QUERY, many).scores, abs=1e-5
        )
    assert 0 < ranker.stats.memory_bytes <= 20_000


def test_split_chunks_are_found_by_queries_of_other_lengths() -> None:
    """Where a chunk is split does not move with every token of the query."""
    long = "numbers and words " * 600
    ranker = build()
    ranker.warm([long])
    misses = ranker.stats.misses
    for query in ("who", QUERY):
        assert ranker.rank(query, [long]).split == (0,)
    assert ranker.stats.misses == misses == 0


def test_a_folder_that_is_too_small_for_all(tmp_path: Path) -> None:
    """The files stay within their bound, what fits is found, and scores are as ever."""
    many = [f"{text} {number}" for number in range(30) for text in set(CHUNKS)]
    options: Any = {"store": tmp_path, "store_bytes": 300_000, "memory_bytes": 0}
    ranker = build(**options)
    found = ranker.warm(many)
    assert found.read == len(many)
    assert found.evicted == ranker.stats.folder_evictions > 0
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 300_000
    later = build(**options)
    assert later.rank(QUERY, many).scores == pytest.approx(
        build(memory_bytes=0).rank(QUERY, many).scores, abs=1e-5
    )
    assert later.stats.hits == len(many) - found.evicted


def test_files_of_others_are_refused(tmp_path: Path) -> None:
    """A folder where the store's file is somebody else's is an error that names it."""
    (tmp_path / FILE_NAME).write_text("a list of shops")
    with pytest.raises(ValueError, match="not a store of attnmass"):
        build(store=tmp_path)


def test_a_folder_that_cannot_be_written_costs_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A cache that does not work never fails a call."""
    (tmp_path / "file").touch()
    ranker = build(store=tmp_path / "file" / "chunks", memory_bytes=0)
    with caplog.at_level(logging.WARNING):
        assert ranker.rank(QUERY, CHUNKS).scores == build().rank(QUERY, CHUNKS).scores
    assert len(caplog.records) == 1


def test_a_device_that_is_full_leaves_entries_where_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is found in the folder and does not fit beside the model is used from main memory."""
    expected = build(store=tmp_path).rank(QUERY, CHUNKS).scores
    ranker = build(store=tmp_path)

    def full(self: KeyValues, device: torch.device) -> KeyValues:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(KeyValues, "to", full)
    assert ranker.rank(QUERY, CHUNKS).scores == pytest.approx(expected, abs=1e-6)
    assert ranker.stats.misses == 0


def test_stats(tmp_path: Path) -> None:
    """Counts, bytes and seconds add up over calls."""
    ranker = build(store=tmp_path)
    before = ranker.stats
    assert before == RankerStats(0, 0, 0, 0, 0, 0, 0, 0, 0.0, 0.0, 0.0)
    ranking = ranker.rank(QUERY, CHUNKS)
    once = ranker.stats
    assert (once.calls, once.hits, once.misses) == (1, 0, 4)
    distinct = {chunk.index: chunk.n_tokens for chunk in ranking.chunks if chunk.index != 3}
    assert once.tokens_encoded == sum(distinct.values())
    assert once.encode_seconds == ranking.timings.encode
    assert once.query_seconds == ranking.timings.query
    assert once.tokenize_seconds == pytest.approx(ranking.timings.tokenize)
    assert once.folder_bytes == sum(path.stat().st_size for path in tmp_path.iterdir())
    assert once.folder_bytes > once.memory_bytes > 0
    ranker.rank(QUERY, CHUNKS)
    ranker.warm(CHUNKS)
    twice = ranker.stats
    assert (twice.calls, twice.hits, twice.misses) == (3, 4, 4)
    assert twice.tokens_encoded == once.tokens_encoded
    with pytest.raises(AttributeError):
        twice.hits = 0  # type: ignore[misc]


def test_threads_share_the_cache() -> None:
    """Calls and warming from many threads at once read each text once and score alike."""
    ranker = build()
    expected = build(memory_bytes=0).rank(QUERY, CHUNKS).scores
    found: list[tuple[float, ...]] = []

    def work(number: int) -> None:
        if number % 3 == 0:
            ranker.warm(CHUNKS)
        found.append(ranker.rank(QUERY, CHUNKS).scores)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(scores == pytest.approx(expected, abs=1e-5) for scores in found)
    assert len(found) == 12
    assert len(ranker._cache.memory) == len(set(CHUNKS))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"memory_bytes": -1}, "memory_bytes must be at least 0, or None for no bound, not -1"),
        ({"store_bytes": 0, "store": "x"}, "at least 1, or None for no bound, not 0"),
        ({"store_bytes": 5}, "there is none"),
        ({"store_format": "int4"}, "store_format must be one of .*'float16'.*, not 'int4'"),
        ({"store_format": "int8", "memory_bytes": 0}, "needs a cache"),
        ({"store": __file__}, "not a folder"),
    ],
    ids=str,
)
def test_bad_options(options: dict[str, Any], message: str, tiny_folder: Path) -> None:
    """Values that are off, and options that contradict each other, fail at construction."""
    with pytest.raises(ValueError, match=message):
        build(**options)
    with pytest.raises(ValueError, match=message):
        AttentionRanker.from_pretrained("no/such-model", **options)
