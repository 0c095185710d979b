"""Encoder-decoders: what is kept, and what does not fit at once, change no score."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from attnmass import AttentionRanker
from attnmass.capture import CrossReader
from attnmass.options.cross import CrossOptions
from tests.layouts.pairs import CHUNKS, HEADS, QUERY, build, each_kind, shared
from tests.tiny_seq2seq import seq2seq_tokenizer, tiny_seq2seq


@each_kind
@pytest.mark.parametrize("cross", [None, CrossOptions(value_norm=True)])
def test_cold_warm_and_half_full_give_the_same(
    kind: str, cross: CrossOptions | None, tmp_path: Path
) -> None:
    """What is in the cache, in memory or in a folder, changes no score."""
    cold = build(kind, cross=cross).rank(QUERY, CHUNKS).scores
    warm = build(kind, cross=cross, memory_bytes=None, store=tmp_path)
    assert warm.warm(CHUNKS).read == len(CHUNKS)
    assert warm.rank(QUERY, CHUNKS).scores == pytest.approx(cold, abs=1e-5)
    assert (warm.stats.hits, warm.stats.misses) == (len(set(CHUNKS)), 0)
    folder = build(kind, cross=cross, memory_bytes=None, store=tmp_path)
    assert folder.warm(CHUNKS).skipped == len(CHUNKS)
    assert folder.rank(QUERY, CHUNKS).scores == pytest.approx(cold, abs=1e-5)
    assert folder.stats.tokens_encoded == 0
    half = build(kind, cross=cross, memory_bytes=None)
    half.warm(CHUNKS[:3])
    assert half.rank(QUERY, CHUNKS).scores == pytest.approx(cold, abs=1e-5)
    assert (half.stats.hits, half.stats.misses) == (3, 3)


def test_cache_of_other_options_is_not_used(tmp_path: Path) -> None:
    """A ranker that needs the last layer's values does not take entries without them."""
    build("t5", store=tmp_path).warm(CHUNKS)
    other = build("t5", store=tmp_path, cross=CrossOptions(value_norm=True))
    assert other.rank(QUERY, CHUNKS).scores == pytest.approx(
        build("t5", cross=CrossOptions(value_norm=True)).rank(QUERY, CHUNKS).scores, abs=1e-5
    )
    assert other.stats.hits == 0


@pytest.mark.parametrize("store_format", ["float16", "int8"])
def test_smaller_formats_come_close(store_format: str) -> None:
    """States kept in fewer bytes give nearly the same scores."""
    found = build("bart", memory_bytes=None, store_format=store_format)
    expected = shared("bart").rank(QUERY, CHUNKS).scores
    assert found.rank(QUERY, CHUNKS).scores == pytest.approx(expected, abs=0.05)


def test_long_chunk_is_read_in_windows() -> None:
    """A chunk beyond BART's positions is split, merged and marked; T5 has no such limit."""
    long = CHUNKS[5] * 8
    bart = build("bart").rank(QUERY, [CHUNKS[0], long])
    assert bart.split == (1,)
    assert "chunks[1] was longer" in bart.notes[0]
    assert 0 < sum(bart.scores) < 1
    assert build("t5").rank(QUERY, [CHUNKS[0], long]).split == ()
    assert build("t5", max_chunk_tokens=80).rank(QUERY, [CHUNKS[0], long]).split == (1,)


def test_long_query() -> None:
    """A query beyond BART's decoder is an error with both numbers; T5 takes it."""
    query = "why " * 200
    with pytest.raises(ValueError, match=r"the query has \d+ tokens.*decoder has room for 254"):
        build("bart").rank(query, CHUNKS)
    assert sum(build("t5").rank(query, CHUNKS).scores) > 0


def test_out_of_memory_makes_smaller_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the keys of all chunks do not fit, they are looked at in parts, scores the same."""
    ranker = build("t5")
    chunks = [f"{text} {number}" for number in range(12) for text in CHUNKS]
    expected = ranker.rank(QUERY, chunks).scores
    original, blocks = CrossReader.look, []

    def small(self: CrossReader, *args: Any, key_block: int | None = None, **kwargs: Any) -> Any:
        blocks.append(key_block)
        if key_block is None or key_block > 1000:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return original(self, *args, key_block=key_block, **kwargs)

    monkeypatch.setattr(CrossReader, "look", small)
    assert ranker.rank(QUERY, chunks).scores == pytest.approx(expected, abs=1e-5)
    assert blocks == [16384, 4096, 1024, 256]


def test_out_of_memory_halves_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a batch of chunks does not fit, smaller ones are read, with the same scores."""
    ranker = build("bart")
    expected = ranker.rank(QUERY, CHUNKS).scores
    run, sizes = ranker._layout._read_batch, []

    def small(rows: Any) -> Any:
        sizes.append(len(rows))
        if len(rows) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return run(rows)

    monkeypatch.setattr(ranker._layout, "_read_batch", small)
    assert ranker.rank(QUERY, CHUNKS).scores == pytest.approx(expected, abs=1e-5)
    assert max(sizes) > 1


def test_changed_weights_are_noticed() -> None:
    """Once the caller's weights change, what was kept of the old ones is not used."""
    model = tiny_seq2seq()
    ranker = AttentionRanker(model, seq2seq_tokenizer(), heads=HEADS)
    before = ranker.rank(QUERY, CHUNKS).scores
    with torch.no_grad():
        model.encoder.block[0].layer[0].SelfAttention.v.weight.mul_(-1)
    after = ranker.rank(QUERY, CHUNKS).scores
    fresh = AttentionRanker(model, seq2seq_tokenizer(), heads=HEADS).rank(QUERY, CHUNKS).scores
    assert after == pytest.approx(fresh, abs=1e-5)
    assert after != pytest.approx(before, abs=1e-4)
