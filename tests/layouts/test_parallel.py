"""The parallel layout, through the ranker, against a plain causal forward."""

from __future__ import annotations

import weakref
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attnmass import AttentionRanker, OutOfMemoryError
from attnmass.capture import KeyValues, Reader
from attnmass.layouts.parallel import ParallelLayout
from attnmass.layouts.windows import cut
from tests.conftest import HEADS
from tests.tiny import tiny_model, tiny_tokenizer

QUERY = "Who developed the theory of relativity?"
CHUNKS = [
    "Albert Einstein, a physicist, developed the theory of relativity in 1905.",
    "The river runs through the city.",
    "Trains, books and music.",
    "words",
    "A city lies on that river.",
    "Numbers are made of numbers, and the query is made of words; " * 4,
]


def test_single_chunk_equals_the_plain_causal_forward(ranker: AttentionRanker) -> None:
    """With one chunk the score is what eager attention over prompt, chunk and query gives."""
    layout: Any = ranker._layout
    chunk, query = ranker._plain.content([CHUNKS[0], QUERY])
    before, between = layout._prompt.before, layout._prompt.between
    ids = torch.tensor([[*before, *chunk.ids, *between, *query.ids]])
    model = tiny_model()
    model.config._attn_implementation = "eager"
    with torch.inference_mode():
        attention = model(input_ids=ids, output_attentions=True).attentions
    rows = torch.stack([attention[layer][0, head, -len(query) :] for layer, head in HEADS])
    expected = rows[:, :, len(before) : len(before) + len(chunk)].sum(-1).mean()
    found = ranker.rank(QUERY, [CHUNKS[0]]).scores[0]
    assert found == pytest.approx(float(expected), abs=1e-5)
    assert found > 0.01


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(len(CHUNKS))))
def test_permuting_chunks_permutes_scores(order: list[int]) -> None:
    """The order in which chunks come in plays no part in their scores."""
    ranker = _shared()
    expected = ranker.rank(QUERY, CHUNKS).scores
    found = ranker.rank(QUERY, [CHUNKS[i] for i in order]).scores
    assert found == pytest.approx([expected[i] for i in order], abs=1e-5)


@pytest.mark.parametrize(
    "options", [{"max_batch_tokens": 1}, {"batch_size": 2}, {"max_batch_tokens": 64}]
)
def test_batches_do_not_change_scores(options: dict[str, int]) -> None:
    """However chunks are batched, scores are the same."""
    assert _fresh(**options).rank(QUERY, CHUNKS).scores == pytest.approx(
        _shared().rank(QUERY, CHUNKS).scores, abs=1e-5
    )


@pytest.mark.parametrize("max_batch_tokens", [1, 8192])
def test_queries_in_one_pass_do_not_see_each_other(max_batch_tokens: int) -> None:
    """Several queries over one chunk set score as each of them alone."""
    queries = [QUERY, "What are trains?", "numbers", "Where does the river run to, and why?"]
    ranker = AttentionRanker(
        tiny_model(), tiny_tokenizer(), heads=HEADS, max_batch_tokens=max_batch_tokens
    )
    together = ranker.rank_batch(queries, CHUNKS)
    for query, ranking in zip(queries, together, strict=True):
        alone = _shared().rank(query, CHUNKS)
        assert ranking.query == query
        assert ranking.scores == pytest.approx(alone.scores, abs=1e-5)


def test_split_chunk_is_marked_and_merged() -> None:
    """A chunk over the limit is read in overlapping windows, and says so."""
    ranker = AttentionRanker(tiny_model(), tiny_tokenizer(), heads=HEADS, max_chunk_tokens=80)
    long = CHUNKS[5] * 2
    ranking = ranker.rank(QUERY, [CHUNKS[0], long])
    found = next(chunk for chunk in ranking.chunks if chunk.index == 1)
    assert found.n_windows > 1
    assert found.n_tokens == len(ranker._plain.content([long])[0])
    assert ranking.split == (1,)
    assert "chunks[1] was longer" in ranking.notes[0]
    assert 0 < sum(ranking.scores) < 1


@pytest.mark.parametrize(("n_tokens", "limit"), [(10, 4), (10, 10), (11, 10), (200, 70), (3, 1)])
def test_windows_cover_every_token(n_tokens: int, limit: int) -> None:
    """Windows overlap, leave no token out, and none is longer than the limit."""
    tokens = _shared()._plain.content(["x" * n_tokens])[0]
    n_tokens = len(tokens)
    windows = list(cut([tokens], limit, overlap=64))
    covered = {i for window in windows for i in range(window.start, window.end)}
    assert covered == set(range(n_tokens))
    assert all(0 < len(window) <= limit for window in windows)
    assert len({window.start for window in windows}) == len(windows)


def test_chunk_longer_than_the_model_is_split() -> None:
    """A chunk beyond the model's own positions is read in windows, not cut off."""
    long = "numbers and words " * 600
    ranking = _shared().rank(QUERY, [long, "words"])
    assert ranking.chunks[0].n_tokens + ranking.chunks[1].n_tokens > 1024
    assert ranking.split == (0,)


def test_query_longer_than_the_model_is_an_error() -> None:
    """A query is never truncated: one that cannot fit is an error with both numbers."""
    with pytest.raises(ValueError, match=r"the query has \d+ tokens.* room for \d+"):
        _shared().rank("why " * 2000, CHUNKS)


def test_out_of_memory_halves_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a batch does not fit into memory, smaller ones are read, with the same scores."""
    ranker = _fresh()
    expected = ranker.rank(QUERY, CHUNKS).scores
    original = Reader.read
    sizes: list[int] = []

    def small(self: Reader, rows: Any, *args: Any) -> Any:
        sizes.append(len(rows))
        if len(rows) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return original(self, rows, *args)

    monkeypatch.setattr(Reader, "read", small)
    assert ranker.rank(QUERY, CHUNKS).scores == pytest.approx(expected, abs=1e-5)
    assert max(sizes) > 2
    assert min(sizes) <= 2


def test_out_of_memory_halves_the_queries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where several queries do not fit into one pass, fewer share it."""
    ranker = AttentionRanker(tiny_model(), tiny_tokenizer(), heads=HEADS)
    queries = [QUERY, "trains", "numbers"]
    expected = [ranking.scores for ranking in ranker.rank_batch(queries, CHUNKS)]
    original = Reader.look

    def one(self: Reader, *args: Any, **kwargs: Any) -> torch.Tensor:
        if len(kwargs["rows"]) > 1:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return original(self, *args, **kwargs)

    monkeypatch.setattr(Reader, "look", one)
    found = [ranking.scores for ranking in ranker.rank_batch(queries, CHUNKS)]
    assert found == [pytest.approx(scores, abs=1e-5) for scores in expected]


def test_out_of_memory_for_all_keys_makes_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the query's pass over all keys does not fit, it goes block by block, same scores."""
    ranker = AttentionRanker(tiny_model(), tiny_tokenizer(), heads=HEADS)
    chunks = [f"{text} {number}" for number in range(20) for text in CHUNKS]
    expected = ranker.rank(QUERY, chunks).scores
    original = Reader.look
    blocks: list[int | None] = []

    def small(self: Reader, *args: Any, key_block: int | None = None, **kwargs: Any) -> Any:
        blocks.append(key_block)
        if key_block is None or key_block > 200:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return original(self, *args, key_block=key_block, **kwargs)

    monkeypatch.setattr(Reader, "look", small)
    assert ranker.rank(QUERY, chunks).scores == pytest.approx(expected, abs=1e-5)
    total = sum(chunk.n_tokens for chunk in ranker.rank(QUERY, chunks).chunks)
    assert blocks[:3] == [None, total // 4, total // 16]


@pytest.mark.parametrize("most", [1, 100, 2000])
def test_more_than_one_pass_should_hold_is_merged_exactly(
    monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """What a query looks at together is bounded, and no score depends on the bound."""
    ranker = AttentionRanker(tiny_model(), tiny_tokenizer(), heads=HEADS)
    chunks = [f"{text} {number}" for number in range(20) for text in CHUNKS]
    expected = ranker.rank(QUERY, chunks).scores
    monkeypatch.setattr("attnmass.layouts.parallel._MOST_KEYS", most)
    monkeypatch.setattr("attnmass.layouts.parallel._LARGEST_BLOCK", most)
    original = Reader.look
    blocks: list[int | None] = []

    def look(self: Reader, *args: Any, key_block: int | None = None, **kwargs: Any) -> Any:
        blocks.append(key_block)
        return original(self, *args, key_block=key_block, **kwargs)

    monkeypatch.setattr(Reader, "look", look)
    assert ranker.rank(QUERY, chunks).scores == pytest.approx(expected, abs=1e-6)
    assert blocks == [most]


@pytest.mark.parametrize("memory_bytes", [0, None])
def test_out_of_memory_on_a_device_moves_what_was_read(
    monkeypatch: pytest.MonkeyPatch, memory_bytes: int | None
) -> None:
    """What waits on a full device is moved to main memory, and nothing holds it there."""
    ranker = _fresh(memory_bytes=memory_bytes)
    expected = ranker.rank(QUERY, CHUNKS).scores
    home = {"device": "cuda"}
    moved: list[KeyValues] = []
    on_device: list[weakref.ref[KeyValues]] = []

    def to(self: KeyValues, device: torch.device) -> KeyValues:
        on_device.append(weakref.ref(self))
        home["device"] = "cpu"
        moved.append(KeyValues(self.keys, self.values, self.positions))
        return moved[-1]

    original = Reader.look

    def look(self: Reader, *args: Any, **kwargs: Any) -> Any:
        if not moved:
            raise torch.OutOfMemoryError("CUDA out of memory")
        assert not any(reference() is not None for reference in on_device)
        return original(self, *args, **kwargs)

    monkeypatch.setattr(KeyValues, "to", to)
    monkeypatch.setattr(KeyValues, "device", property(lambda self: torch.device(home["device"])))
    monkeypatch.setattr(Reader, "look", look)
    assert ranker.rank(QUERY, CHUNKS).scores == pytest.approx(expected, abs=1e-6)
    assert len(moved) == len(set(CHUNKS))  # each once, though the cache holds them, too


@pytest.mark.parametrize("method", ["read", "look"])
def test_out_of_memory_for_the_least_is_raised(
    monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """What cannot be made smaller is the caller's to know."""

    def full(*args: Any, **kwargs: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    ranker = _fresh()
    monkeypatch.setattr(Reader, method, full)
    with pytest.raises(OutOfMemoryError, match="pass "):
        ranker.rank(QUERY, CHUNKS)


def test_other_errors_are_not_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only an error about memory makes batches smaller."""
    calls = 0

    def broken(*args: Any) -> Any:
        nonlocal calls
        calls += 1
        raise RuntimeError("something else")

    ranker = _fresh()
    monkeypatch.setattr(Reader, "read", broken)
    with pytest.raises(RuntimeError, match="something else"):
        ranker.rank(QUERY, CHUNKS)
    assert calls == 1


def test_layout_names_itself() -> None:
    """The name of the layout is what profiles and options call it."""
    assert ParallelLayout.name == "parallel"


_CACHE: list[AttentionRanker] = []


def _shared() -> AttentionRanker:
    """One ranker for tests that hypothesis calls again and again."""
    if not _CACHE:
        _CACHE.append(_fresh())
    return _CACHE[0]


def _fresh(**options: Any) -> AttentionRanker:
    """A ranker that reads chunks anew on each call, unless `options` say otherwise."""
    return AttentionRanker(
        tiny_model(), tiny_tokenizer(), heads=HEADS, **{"memory_bytes": 0, **options}
    )
