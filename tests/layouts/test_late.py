"""The late layout, through the ranker: worked out the slow way, and what does not change scores."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attnmass import AttentionRanker, Chunk, HeadProfile, Ranking
from attnmass.capture.vectors import VectorReader
from attnmass.layouts.late import _GAP
from attnmass.layouts.windows import cut, n_windows
from attnmass.masses import quantize
from attnmass.store.entry import Entry
from tests.capture import checks
from tests.capture.families import DECODERS
from tests.capture.joint_checks import CHUNKS as FAMILY_CHUNKS
from tests.capture.joint_checks import QUERIES as FAMILY_QUERIES
from tests.capture.joint_checks import tokenizer as word_tokenizer
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


def build(**options: Any) -> AttentionRanker:
    """A new ranker over a new tiny model."""
    return AttentionRanker(tiny_model(), tiny_tokenizer(), heads=HEADS, layout="late", **options)


_RANKERS: dict[str, AttentionRanker] = {}


def shared() -> AttentionRanker:
    """One ranker for all tests that leave no traces."""
    return _RANKERS.setdefault("late", build())


def hidden(model: Any, ids: list[int], positions: list[int]) -> Any:
    """What enters each layer in one plain pass over a whole sequence, `[layer][token, dim]`."""
    with torch.inference_mode():
        out = model.model(
            input_ids=torch.tensor([ids]),
            position_ids=torch.tensor([positions]),
            attention_mask=torch.ones(1, len(ids), dtype=torch.long),
            output_hidden_states=True,
            use_cache=False,
        )
    return [state[0] for state in out.hidden_states]


def test_worked_out_the_slow_way() -> None:
    """Keys before rotation, queries 64 tokens on, softmax over the chunks' tokens, mean of rows."""
    ranker, model = shared(), tiny_model()
    layout: Any = ranker._layout
    before, between = list(layout._prompt.before), list(layout._prompt.between)
    *chunks, query = ranker._plain.content([*CHUNKS, QUERY])
    n_before = len(before)
    tail = [*between, *query.ids]
    start = n_before + _GAP
    asked = hidden(
        model,
        [*before, *tail],
        [*range(n_before), *range(start, start + len(tail))],
    )
    read = [
        hidden(model, [*before, *chunk.ids], list(range(n_before + len(chunk)))) for chunk in chunks
    ]
    angle = 64 * 1.0 / 10000.0 ** (torch.arange(0, 8, 2) / 8)  # [dim / 2]
    cos, sin = torch.cos(angle).repeat(2), torch.sin(angle).repeat(2)
    masses = torch.zeros(len(chunks))
    for layer, head in HEADS:
        block = model.model.layers[layer]
        rows = block.self_attn.q_proj(block.input_layernorm(asked[layer][-len(query) :]))
        rows = rows.unflatten(1, (4, 8))[:, head]
        turned = rows * cos + torch.cat([-rows[:, 4:], rows[:, :4]], dim=1) * sin
        scores = [
            turned
            @ block.self_attn.k_proj(block.input_layernorm(states[layer][n_before:]))
            .unflatten(1, (2, 8))[:, head // 2]
            .T
            / math.sqrt(8)
            for states in read
        ]
        attention = torch.cat(scores, dim=1).softmax(dim=1).split([len(c) for c in chunks], dim=1)
        masses += torch.stack([part.sum(dim=1).mean() for part in attention]) / len(HEADS)
    found = {chunk.index: chunk.mass for chunk in ranker.rank(QUERY, CHUNKS).chunks}
    # Key vectors are kept in 8 bits.
    assert [found[i] for i in range(len(CHUNKS))] == pytest.approx(masses.tolist(), abs=0.02)
    assert max(masses) > 2 * min(masses)


def test_masses_sum_to_one() -> None:
    """The candidates share all of the query's attention among them."""
    assert sum(chunk.mass for chunk in shared().rank(QUERY, CHUNKS).chunks) == pytest.approx(1)


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(len(CHUNKS))))
def test_permuting_chunks_permutes_scores(order: list[int]) -> None:
    """The order in which chunks come in plays no part in their scores."""
    expected = shared().rank(QUERY, CHUNKS).scores
    found = shared().rank(QUERY, [CHUNKS[i] for i in order]).scores
    assert found == pytest.approx([expected[i] for i in order], abs=1e-12)


def test_cold_warm_and_half_warm_are_equal_to_the_bit() -> None:
    """What is looked at is what is kept, so that it does not matter when a chunk was read."""
    cold = build().rank(QUERY, CHUNKS, query_words=True)
    ranker = build()
    ranker.warm(CHUNKS[::2])
    half = ranker.rank(QUERY, CHUNKS)
    warm = ranker.rank(QUERY, CHUNKS)
    none = build(memory_bytes=0)
    assert half.scores == warm.scores == none.rank(QUERY, CHUNKS).scores
    assert cold.scores == pytest.approx(warm.scores, rel=1e-3)  # read in other batches


@pytest.mark.parametrize(
    "options", [{"max_batch_tokens": 1}, {"batch_size": 2}, {"max_batch_tokens": 64}]
)
def test_batches_change_scores_by_rounding(options: dict[str, int]) -> None:
    """However chunks are batched while they are read, scores are the same but for rounding."""
    assert build(**options).rank(QUERY, CHUNKS).scores == pytest.approx(
        shared().rank(QUERY, CHUNKS).scores, rel=1e-2
    )


def test_queries_in_one_pass_do_not_see_each_other() -> None:
    """Several queries over one chunk set score as each of them alone, and chunks are read once."""
    queries = [QUERY, "What are trains?", "numbers", "Where does the river run to, and why?"]
    ranker = build()
    together = ranker.rank_batch(queries, CHUNKS)
    read = ranker.stats.tokens_encoded
    for query, ranking in zip(queries, together, strict=True):
        assert ranking.scores == pytest.approx(ranker.rank(query, CHUNKS).scores, abs=1e-5)
    assert ranker.stats.tokens_encoded == read


def test_a_split_chunk_counts_each_token_once() -> None:
    """A chunk in windows is marked, and a token of an overlap is taken from the first of them."""
    ranker = build(max_chunk_tokens=80)
    long = CHUNKS[5] * 2
    ranking = ranker.rank(QUERY, [CHUNKS[0], long])
    found = next(chunk for chunk in ranking.chunks if chunk.index == 1)
    assert found.n_windows > 1
    assert found.n_tokens == len(ranker._plain.content([long])[0])
    assert sum(chunk.mass for chunk in ranking.chunks) == pytest.approx(1)
    layout: Any = ranker._layout
    (tokens,) = ranker._plain.content([long])
    (kept,) = layout._chunks.read([tokens], ranker._options, lambda _: None).keys
    whole: Any = shared()._layout
    (unsplit,) = whole._chunks.read([tokens], shared()._options, lambda _: None).keys
    assert len(kept) == len(tokens)
    assert torch.equal(kept.codes[:80], unsplit.codes[:80])


def test_a_chunk_in_windows_has_nearly_the_mass_that_it_has_in_one() -> None:
    """Where it is cut hardly matters: all tokens are at one distance."""
    long = " ".join(CHUNKS) * 4
    whole = {c.index: c.mass for c in shared().rank(QUERY, [long, *CHUNKS]).chunks}
    cut = {c.index: c.mass for c in build(max_chunk_tokens=150).rank(QUERY, [long, *CHUNKS]).chunks}
    assert cut[0] == pytest.approx(whole[0], rel=0.05)


def test_query_longer_than_the_model_is_an_error() -> None:
    """A query is never truncated: one that cannot fit is an error with both numbers."""
    with pytest.raises(ValueError, match=r"the query has \d+ tokens.* room for \d+"):
        shared().rank("why " * 2000, CHUNKS)


def test_out_of_memory_halves_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a batch does not fit into memory, smaller ones are read, never shorter windows."""
    expected = build(batch_size=2).rank(QUERY, CHUNKS)
    original = VectorReader.keys
    sizes: list[int] = []

    def small(self: VectorReader, ids: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        sizes.append(len(ids))
        if len(ids) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return original(self, ids, *args, **kwargs)

    ranker = build()
    monkeypatch.setattr(VectorReader, "keys", small)
    found = ranker.rank(QUERY, CHUNKS)
    assert found.scores == pytest.approx(expected.scores, rel=1e-3)
    assert all(chunk.n_windows == 1 for chunk in found.chunks)
    assert max(sizes) > 2


def test_answers_look_at_chunks() -> None:
    """The answer's rows are one more query: scores of each sentence, and spans that it looks at."""
    found = shared().attribute(QUERY, CHUNKS, "Albert Einstein did. He was a physicist.")
    assert len(found.sentences) == 2
    for sentence in found.sentences:
        assert sum(sentence.scores) == pytest.approx(1)
        assert sentence.spans
    assert found.sentences[0].scores != found.sentences[1].scores


def test_titles_and_context_are_read() -> None:
    """A title, and what stands before and after a text, are read and counted with it."""
    plain = shared().rank(QUERY, ["words", "numbers"])
    titled = shared().rank(QUERY, [Chunk("words", "Einstein", "before ", " after"), "numbers"])
    tokens = {c.index: c.n_tokens for c in titled.chunks}
    assert tokens[0] > {c.index: c.n_tokens for c in plain.chunks}[0]


def test_other_weights_are_another_model() -> None:
    """Once a weight is changed in place, what chunks left before is not looked at."""
    model = tiny_model()
    ranker = AttentionRanker(model, tiny_tokenizer(), heads=HEADS, layout="late")
    before = ranker.rank(QUERY, CHUNKS).scores
    with torch.no_grad():
        model.model.layers[0].self_attn.k_proj.weight.mul_(0.5)
    after = ranker.rank(QUERY, CHUNKS).scores
    assert after != before
    assert ranker.stats.hits == 0
    profile = HeadProfile.from_heads(HEADS, model="tiny", layout="late")
    fresh = AttentionRanker(model, tiny_tokenizer(), profile=profile)
    assert fresh.rank(QUERY, CHUNKS).scores == after


def test_the_model_is_left_as_it_was() -> None:
    """Generation before, between and after is the same, and no hook or weight was added."""
    model = tiny_model()
    ids = torch.arange(12)[None]
    with torch.inference_mode():
        before = model(input_ids=ids).logits
    ranker = AttentionRanker(model, tiny_tokenizer(), heads=HEADS, layout="late")
    ranker.rank(QUERY, CHUNKS)
    with torch.inference_mode():
        after = model(input_ids=ids).logits
    assert torch.equal(before, after)
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_texts_that_are_known_are_not_tokenized(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chunk whose vectors are kept needs no tokens to be ranked, and has them for its spans."""
    ranker = build()
    expected = ranker.rank(QUERY, CHUNKS)
    original = ranker._plain.content
    asked: list[str] = []

    def content(texts: Any) -> Any:
        asked.extend(texts)
        return original(texts)

    monkeypatch.setattr(ranker._plain, "content", content)
    found = ranker.rank(QUERY, CHUNKS)
    assert found.scores == expected.scores
    assert [chunk.n_tokens for chunk in found.chunks] == [c.n_tokens for c in expected.chunks]
    assert not set(asked) & set(CHUNKS)
    trimmed = ranker.trim(QUERY, CHUNKS, top_n=1, keep_ratio=0.5)
    assert trimmed.chunks[0].spans


@pytest.mark.parametrize("n_tokens", [1, 79, 80, 81, 145, 146, 500])
@pytest.mark.parametrize("overlap", [0, 16, 64])
def test_number_of_windows(n_tokens: int, overlap: int) -> None:
    """A chunk is said to have as many windows as it is cut into."""
    assert n_windows(n_tokens, 80, overlap) == len(list(cut([range(n_tokens)], 80, overlap)))


def test_a_folder_gives_the_same_scores_to_the_bit(tmp_path: Path) -> None:
    """Cold, warm, half-full, and another ranker's and a restarted one's store: all bit-equal."""
    first = build(store=tmp_path)
    cold = first.rank(QUERY, CHUNKS).scores
    assert first.rank(QUERY, CHUNKS).scores == cold
    other = build(store=tmp_path)
    assert other.rank(QUERY, CHUNKS).scores == cold
    assert other.stats.tokens_encoded == 0
    assert other.stats.hits == len(set(CHUNKS))
    only_folder = build(store=tmp_path, memory_bytes=0)
    assert only_folder.rank(QUERY, CHUNKS).scores == cold
    assert only_folder.stats.memory_bytes == 0
    more = other.rank(QUERY, [*CHUNKS, "A chunk that nobody has read."])
    assert [c.mass for c in more.chunks if c.index < len(CHUNKS)]
    assert other.stats.tokens_encoded > 0


def test_memory_is_bounded_to_the_byte() -> None:
    """What is held never exceeds the bound, and evicted chunks are read again."""
    ranker = build(memory_bytes=600)
    whole = build().rank(QUERY, CHUNKS)
    assert ranker.rank(QUERY, CHUNKS).scores == whole.scores
    assert 0 < ranker.stats.memory_bytes <= 600
    assert ranker.stats.evictions > 0


def test_what_is_forged_in_a_folder_is_a_miss(tmp_path: Path) -> None:
    """A value of another shape under the right key, with a valid checksum, changes no score."""
    ranker = build(store=tmp_path)
    expected = ranker.rank(QUERY, CHUNKS).scores
    layout: Any = ranker._layout
    keys = layout._chunks.keys(ranker._plain.content(CHUNKS), ranker._options)
    folder = ranker._cache.folder
    assert folder is not None
    for forged in (b"", b"AMK1", b"\0" * 500, quantize(torch.randn(3, 1, 8)).to_bytes()):
        folder.write({key: Entry(forged, 1) for key in keys})
        again = build(store=tmp_path)
        assert again.rank(QUERY, CHUNKS).scores == expected
        assert again.stats.hits == 0


def test_other_formats_are_refused() -> None:
    """Key vectors are kept in int8; another format is an error that says so."""
    with pytest.raises(ValueError, match="key vectors in int8"):
        build(store_format="float16")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision(dtype: torch.dtype) -> None:
    """Models in half precision are read, with masses near those in single precision."""
    model = tiny_model(gain=8.0)
    exact = AttentionRanker(model, tiny_tokenizer(), heads=HEADS, layout="late")
    expected = exact.rank(QUERY, CHUNKS).scores
    half = AttentionRanker(model.to(dtype), tiny_tokenizer(), heads=HEADS, layout="late")
    assert half.rank(QUERY, CHUNKS).scores == pytest.approx(expected, abs=0.05)


def parts_of(ranking: Ranking) -> np.ndarray:
    """What each row of each head pays the first chunk, as a part of what it pays the second."""
    assert ranking.trace is not None
    first, second = (ranking.trace.scored[index].rows for index in (0, 1))
    assert first is not None
    assert second is not None
    return np.asarray(np.log(first.sum(axis=-1)) - np.log(second.sum(axis=-1)))


@pytest.mark.parametrize("name", ["Gemma 3", "Mistral", "GPT-OSS", "Phi-3", "GPT-2"])
def test_a_long_neighbour_takes_nothing_from_what_short_ones_have(name: str) -> None:
    """Beside a chunk far above a sliding window of 5, short chunks have what they had alone."""
    family = next(family for family in DECODERS if family.name == name)
    ranker = AttentionRanker(
        tiny_model(family.config), word_tokenizer(), heads=checks.HEADS, layout="late"
    )
    short, long = FAMILY_CHUNKS[:2], " ".join(FAMILY_CHUNKS * 4)
    ranker.warm([*short, long])
    alone = parts_of(ranker.rank(FAMILY_QUERIES[0], short, query_words=True))
    beside = parts_of(ranker.rank(FAMILY_QUERIES[0], [*short, long], query_words=True))
    np.testing.assert_allclose(beside, alone, atol=1e-4)
    assert np.abs(alone).max() > 1e-3
