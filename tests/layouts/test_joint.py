"""The joint layout, through the ranker, against in-context re-ranking the slow way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from scipy.stats import kendalltau

from attnmass import AttentionRanker, HeadProfile, OutOfMemoryError
from attnmass.capture import Reader
from benchmarks.icr import token_attention
from tests.conftest import HEADS
from tests.layouts.icr import icr
from tests.readings import grouped
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
EVERY_HEAD = [(layer, head) for layer in range(3) for head in range(4)]


def build(**options: Any) -> AttentionRanker:
    """A ranker of the tiny model with in-context re-ranking's heads, all of them."""
    return AttentionRanker(
        tiny_model(), tiny_tokenizer(), layout="joint", **grouped({"heads": "all", **options})
    )


def without_null(**options: Any) -> AttentionRanker:
    """A ranker of a few heads with nothing subtracted."""
    profile = HeadProfile.from_heads(HEADS, model="tiny", layout="joint")
    return AttentionRanker(tiny_model(), tiny_tokenizer(), profile=profile, **grouped(options))


@pytest.mark.parametrize("options", [{}, {"heads": EVERY_HEAD}, {"max_batch_tokens": 7}])
def test_all_heads_are_the_published_algorithm(options: dict[str, Any]) -> None:
    """All heads without a profile order as in-context re-ranking, however many passes it takes."""
    expected = icr(tiny_model(), tiny_tokenizer(), QUERY, CHUNKS)
    ranking = build(**options).rank(QUERY, CHUNKS)
    masses = {chunk.index: chunk.mass for chunk in ranking.chunks}
    assert [masses[index] for index in range(len(CHUNKS))] == pytest.approx(expected, abs=1e-5)
    assert [chunk.mass for chunk in ranking.chunks] == sorted(masses.values(), reverse=True)
    assert min(expected) < 0 < max(expected)
    assert max(expected) > 0.01


def test_no_score_is_below_that_of_a_blank_chunk() -> None:
    """Mass below zero is a score of 0: blank chunks come last and beat nothing, cut or not."""
    ranking = build().rank(QUERY, ["", *CHUNKS, " "])
    assert [chunk.index for chunk in ranking.chunks[-2:]] == [0, 7]
    assert len(ranking.chunks) == 8
    scores = [chunk.score for chunk in ranking.chunks]
    assert scores == sorted(scores, reverse=True)
    assert min(chunk.mass for chunk in ranking.chunks) < 0 == min(scores)
    for chunk in ranking.chunks:
        assert ranking.scores[chunk.index] == chunk.score == max(0.0, chunk.mass)


def test_the_outlier_filter_matters_here() -> None:
    """Leaving out abnormally low tokens changes these scores, so that equality says something."""
    attention = build().attention(QUERY, CHUNKS)
    plain = [float(chunk.mean(dim=0).sum()) for chunk in attention.beyond_null]
    chunks = sorted(build().rank(QUERY, CHUNKS).chunks, key=lambda chunk: chunk.index)
    masses = [chunk.mass for chunk in chunks]
    assert max(abs(a - b) for a, b in zip(plain, masses, strict=True)) > 1e-3


def test_a_profile_says_whether_a_null_query_is_subtracted() -> None:
    """A profile without `null_query` gives the plain mass of its heads in the one context."""
    model = tiny_model()
    model.config._attn_implementation = "eager"
    found, spans = token_attention(model, tiny_tokenizer(), QUERY, CHUNKS)
    rows = torch.stack([found[layer, head] for layer, head in HEADS]).mean(dim=0)
    ranking = without_null().rank(QUERY, CHUNKS)
    expected = [float(rows[start:end].sum()) for start, end in spans]
    assert ranking.scores == pytest.approx(expected, abs=1e-5)
    assert without_null().attention(QUERY, CHUNKS).null is None


def test_attention_on_all_there_is_sums_to_one() -> None:
    """What chunks and all else get of the query is all of its attention, in one context or more."""
    for ranker in (build(), build(max_context_tokens=200)):
        found = ranker.attention(QUERY, CHUNKS)
        total = found.context + sum(chunk.sum(dim=1) for chunk in found.chunks)
        assert torch.allclose(total, torch.ones_like(total), atol=1e-5)


def test_order_matters() -> None:
    """Unlike in the parallel layout, chunks score otherwise in another order."""
    ranker = build()
    there, back = ranker.rank(QUERY, CHUNKS), ranker.rank(QUERY, CHUNKS[::-1])
    assert max(abs(a - b) for a, b in zip(there.scores, back.scores[::-1], strict=True)) > 1e-3


@pytest.mark.parametrize("max_batch_tokens", [1, 8192])
def test_queries_in_one_pass_do_not_see_each_other(max_batch_tokens: int) -> None:
    """Several queries over one chunk set score as each of them alone."""
    queries = [QUERY, "What are trains?", "numbers"]
    together = build(max_batch_tokens=max_batch_tokens).rank_batch(queries, CHUNKS[:3])
    for query, ranking in zip(queries, together, strict=True):
        alone = build().rank(query, CHUNKS[:3])
        assert ranking.scores == pytest.approx(alone.scores, abs=1e-5)


def test_a_small_context_is_read_in_several() -> None:
    """Chunks beyond the bound are read in contexts within it, and the ranking says so."""
    ranker = build(max_context_tokens=200)
    seen: list[int] = []
    reader: Any = ranker._layout._reader
    look = reader.look

    def spy(ids: Any, positions: Any, *rest: Any, **named: Any) -> Any:
        seen.append(int(positions.max()) + 1)
        return look(ids, positions, *rest, **named)

    reader.look = spy
    ranking = ranker.rank(QUERY, CHUNKS)
    assert len(seen) > 1
    assert max(seen) <= 200
    assert any(f"in {len(seen)} overlapping contexts" in note for note in ranking.notes)
    assert not build().rank(QUERY, CHUNKS).notes


def test_a_chunk_longer_than_a_context_is_split() -> None:
    """A chunk that no context holds is read in windows, and marked."""
    long = CHUNKS[5] * 3
    ranking = build(max_context_tokens=200).rank(QUERY, [CHUNKS[0], long])
    assert ranking.split == (1,)
    assert all(-1 <= score <= 1 for score in ranking.scores)


def test_chunks_beyond_the_models_positions_are_read() -> None:
    """The model's own limit bounds contexts where the caller sets none."""
    ranking = without_null().rank(QUERY, [f"{i} numbers and words " * 40 for i in range(6)])
    assert "overlapping contexts" in " ".join(ranking.notes)
    assert 0 < sum(ranking.scores) <= 1
    assert ranking.split == ()


def test_a_query_beyond_the_context_is_an_error() -> None:
    """A query is never cut: one that leaves no room for a chunk is an error with both numbers."""
    with pytest.raises(ValueError, match=r"has \d+ tokens, and a context of 1024 has room for \d+"):
        build().rank("why " * 2000, CHUNKS)
    with pytest.raises(ValueError, match="a context of 60 has room for 0"):
        build(max_context_tokens=60).rank(QUERY, CHUNKS)


def test_second_pass_is_the_mean_of_both_orders() -> None:
    """A second pass averages the scores of both orders and tells how alike these are."""
    both = without_null(second_pass=True).rank(QUERY, CHUNKS)
    ranker = without_null()
    there = ranker.rank(QUERY, CHUNKS).scores
    back = ranker.rank(QUERY, CHUNKS[::-1]).scores[::-1]
    expected = [(a + b) / 2 for a, b in zip(there, back, strict=True)]
    assert both.scores == pytest.approx(expected, abs=1e-6)
    assert both.stability == pytest.approx(kendalltau(there, back).statistic)
    assert ranker.rank(QUERY, CHUNKS).stability is None


def test_second_pass_subtracts_the_null_query_in_both_orders() -> None:
    """With a null query, stability is that of in-context re-ranking in both orders."""
    model, tokenizer = tiny_model(), tiny_tokenizer()
    there = icr(model, tokenizer, QUERY, CHUNKS)
    back = icr(model, tokenizer, QUERY, CHUNKS[::-1])[::-1]
    found = build(second_pass=True).rank(QUERY, CHUNKS)
    assert found.stability == pytest.approx(kendalltau(there, back).statistic)


def test_one_chunk_has_no_stability() -> None:
    """There is no order to compare where there is one chunk, or none."""
    ranker = build(second_pass=True)
    assert ranker.rank(QUERY, CHUNKS[:1]).stability is None
    assert ranker.rank(QUERY, []).stability is None


def test_trimming_takes_the_same_pass() -> None:
    """Trimming keeps whole sentences by what they get beyond the null query."""
    ranking = build().trim(QUERY, [" ".join(CHUNKS[:3]), CHUNKS[5]], keep_ratio=0.5)
    spans = [span for chunk in (*ranking.chunks, *ranking.dropped) for span in chunk.spans]
    assert {span.kept for span in spans} == {True, False}
    assert all(0 <= span.score <= 1 and span.mass >= 0 for span in spans)


def test_context_is_resolved_inside_chunks() -> None:
    """What a sentence leans on is looked for inside its own chunk, as in the parallel layout."""
    text = "Einstein was born in Ulm. He developed the theory in 1905. It is a theory of trains."
    ranking = build().trim(QUERY, [text], top_p=0.1, resolve_context=True)
    kept = ranking.chunks[0].kept_spans
    assert "score" in {span.reason for span in kept}


def test_nothing_is_kept_to_be_read_again(tmp_path: Path) -> None:
    """There is nothing to warm, and a cache folder, which would stay empty, is refused."""
    with pytest.raises(ValueError, match="layout='parallel'"):
        build().warm(CHUNKS)
    with pytest.raises(ValueError, match="leave out store"):
        build(store=tmp_path / "cache")
    ranker = build()
    ranker.rank(QUERY, CHUNKS)
    assert ranker.stats.memory_bytes == 0


@pytest.mark.parametrize("options", [{"second_pass": True}, {"max_context_tokens": 500}])
def test_options_of_the_layout_are_refused_elsewhere(options: dict[str, Any]) -> None:
    """The parallel layout has no order and no shared context, so its options say nothing."""
    with pytest.raises(ValueError, match="layout='joint'"):
        AttentionRanker(
            tiny_model(), tiny_tokenizer(), heads=HEADS, layout="parallel", **grouped(options)
        )


def test_memory_that_holds_nothing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where not even the shortest piece fits, the error is the caller's."""

    def never(*_: Any, **__: Any) -> Any:
        raise torch.OutOfMemoryError("out of memory")

    ranker = build()
    monkeypatch.setattr(Reader, "read", never)
    with pytest.raises(OutOfMemoryError, match="max_context_tokens"):
        ranker.rank(QUERY, CHUNKS)


def test_progress_counts_every_chunk_once() -> None:
    """Chunks that two contexts share are told once."""
    ranker = build(max_context_tokens=200)
    told: list[int] = []
    tokens = ranker._plain.content(CHUNKS)
    ranker._layout.attend(tokens[:1], tokens, ranker._options, told.append)
    assert sum(told) == len(CHUNKS)
    assert len(told) > 1
