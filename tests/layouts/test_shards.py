"""Candidates in shards: however they are split, results are those of one ranker."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attnmass import AttentionRanker, Ranking, Trim, UnsupportedModelError
from attnmass.layouts import Placing
from attnmass.results.ranking import Timings
from attnmass.text.tokens import Tokens
from tests.conftest import HEADS
from tests.engine.relevance import PARAGRAPHS, QUERY, profile
from tests.tiny import tiny_model, tiny_tokenizer

TEXTS = [*PARAGRAPHS[:14], "Relativity is a theory of 1905. " * 40, f"{QUERY} Einstein did.", QUERY]
NAMES = ("a", "b", "c", "d")
NO_TIME = Timings(0.0, 0.0, 0.0, 0.0)
PROPERTY = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def build(**options: Any) -> AttentionRanker:
    """A ranker with relevance, which reads each chunk by itself and long ones in windows."""
    options = {"batch_size": 1, "max_chunk_tokens": 200} | options
    return AttentionRanker(tiny_model(), tiny_tokenizer(), profile=profile(), **options)


@pytest.fixture(scope="module")
def ranker() -> AttentionRanker:
    """One that has read all texts."""
    made = build()
    made.warm(TEXTS)
    return made


@pytest.fixture(scope="module")
def others() -> dict[str, AttentionRanker]:
    """Rankers of the same model with stores of their own, as other processes have them."""
    return {name: build() for name in NAMES}


def untimed(ranking: Ranking) -> Ranking:
    """All that was found, but for how long it took."""
    return replace(ranking, timings=NO_TIME)


def told(ranking: Ranking) -> Any:
    """What is drawn of a ranking: every token's mass, by head and by word of the query."""
    return json.loads(ranking.explain().to_json())


candidates = st.lists(st.sampled_from(TEXTS), min_size=1, max_size=10)
splits = st.lists(st.sampled_from(NAMES), min_size=len(TEXTS), max_size=len(TEXTS))


@PROPERTY
@given(chunks=candidates, split=splits, at_once=st.booleans(), order=st.permutations(NAMES))
def test_any_split_gives_the_same_to_the_bit(
    ranker: AttentionRanker,
    others: dict[str, AttentionRanker],
    chunks: list[str],
    split: list[str],
    at_once: bool,
    order: list[str],
) -> None:
    """Scores, spans, heat maps and evidence of any split, in any order, are the unsplit ones."""
    where = {
        tokens.digest: name
        for tokens, name in zip(ranker._plain.content(TEXTS), split, strict=True)
    }

    def placing(asked: Sequence[Tokens]) -> list[str]:
        return [where[each.digest] for each in asked]

    shards = {name: others[name].shard for name in order}
    sharded = ranker.sharded(shards, placing=placing, at_once=at_once)
    scores = [float(len(text)) for text in chunks]
    for options in (
        {"query_words": True},
        {"retrieval_scores": scores, "top_n": 3},
        {"trim": Trim(max_tokens=120, on_empty="cut"), "top_n": 5},
        {"trim": Trim(keep_ratio=0.4, resolve_context=True, neighbors=1), "min_relevance": 0.3},
    ):
        expected = ranker.rank(QUERY, chunks, **options)  # type: ignore[arg-type]
        found = sharded.rank(QUERY, chunks, **options)  # type: ignore[arg-type]
        assert untimed(found) == untimed(expected)
    drawn = {"query_words": True}
    assert told(sharded.rank(QUERY, chunks, **drawn)) == told(ranker.rank(QUERY, chunks, **drawn))  # type: ignore[arg-type]
    answer = "Albert Einstein did. He was a physicist."
    assert sharded.attribute(QUERY, chunks, answer) == ranker.attribute(QUERY, chunks, answer)


@PROPERTY
@given(chunks=candidates, n=st.integers(1, 4))
def test_a_ranker_over_its_own_shard_is_itself(
    ranker: AttentionRanker, chunks: list[str], n: int
) -> None:
    """One shard or several of one store: nothing waits for itself, and nothing changes."""
    sharded = ranker.sharded(dict.fromkeys(NAMES[:n], ranker.shard))
    queries = [QUERY, "What is a river?"]
    found = [untimed(each) for each in sharded.rank_batch(queries, chunks)]
    assert found == [untimed(each) for each in ranker.rank_batch(queries, chunks)]


def test_shards_that_read_in_other_batches_differ_by_rounding() -> None:
    """Cold shards batch what they read otherwise; scores are the same within 1e-3 of each."""
    expected = build(batch_size=None).rank(QUERY, TEXTS)
    shards = {name: build(batch_size=None).shard for name in NAMES}
    found = build(batch_size=None).sharded(shards).rank(QUERY, TEXTS)
    assert found.scores == pytest.approx(expected.scores, rel=1e-3)
    assert found.evidence == pytest.approx(expected.evidence, abs=1e-3)


def test_a_shard_reads_only_what_it_has() -> None:
    """Each chunk is read once, by one shard, and by none again; the front reads only queries."""
    front, shards = build(memory_bytes=0), {name: build() for name in NAMES}
    sharded = front.sharded({name: each.shard for name, each in shards.items()})
    done = sharded.warm(TEXTS)
    assert (done.read, done.skipped) == (len(TEXTS), 0)
    assert sharded.warm(TEXTS).read == 0
    found = sharded.rank(QUERY, TEXTS)
    assert found.chunks
    assert sharded.stats.tokens_encoded == sum(
        each._tally["tokens_encoded"] for each in (front, sharded)
    )
    kept = {name: len(each._cache.vectors) for name, each in shards.items()}
    assert sum(kept.values()) == len(TEXTS)
    assert min(kept.values()) > 0
    assert front.stats.tokens_encoded == 0
    assert len(front._cache.vectors) == 0


def test_another_shard_takes_only_what_it_will_have() -> None:
    """Where a shard is added or goes, no chunk moves between those that stay; shares are even."""
    chunks = [Tokens((i,), ((0, 1),)) for i in range(4000)]
    three, four = Placing(NAMES[:3])(chunks), Placing(NAMES)(chunks)
    moved = [now for before, now in zip(three, four, strict=True) if before != now]
    assert set(moved) == {"d"}
    assert 800 < len(moved) < 1200
    assert all(900 < four.count(name) < 1100 for name in NAMES)
    assert Placing(tuple(reversed(NAMES)))(chunks) == four
    assert Placing(NAMES)([]) == []


@pytest.mark.parametrize(("names", "message"), [((), "no shard"), (("a", "a"), "appears twice")])
def test_shards_need_names_of_their_own(names: tuple[str, ...], message: str) -> None:
    """No shards, or two of one name, are an error."""
    with pytest.raises(ValueError, match=message):
        Placing(names)


def test_a_layout_that_reads_chunks_together_has_no_shards(ranker: AttentionRanker) -> None:
    """Only a layout that keeps key vectors can be sharded; the error says which."""
    parallel = AttentionRanker(tiny_model(), tiny_tokenizer(), heads=HEADS, layout="parallel")
    with pytest.raises(UnsupportedModelError, match="layout 'late'"):
        parallel.shard  # noqa: B018
    with pytest.raises(UnsupportedModelError, match="layout 'parallel'"):
        parallel.sharded({"a": ranker.shard})


def test_a_placing_that_loses_a_chunk_is_an_error(ranker: AttentionRanker) -> None:
    """No candidate is left out silently."""
    sharded = ranker.sharded({"a": ranker.shard}, placing=lambda chunks: ["a"] * (len(chunks) - 1))
    with pytest.raises(ValueError, match="1 of 2 chunks"):
        sharded.rank(QUERY, TEXTS[:2])


def test_shards_follow_their_model() -> None:
    """Once weights change in place, a shard reads anew, whoever asks."""
    model = tiny_model()
    made = AttentionRanker(model, tiny_tokenizer(), profile=profile(), batch_size=1)
    sharded = made.sharded({"a": made.shard, "b": made.shard})
    before = sharded.rank(QUERY, TEXTS).scores
    with torch.no_grad():
        model.model.layers[0].self_attn.k_proj.weight.mul_(0.5)
    after = sharded.rank(QUERY, TEXTS).scores
    assert after != before
    assert after == made.rank(QUERY, TEXTS).scores
