"""What adapters tell of a call beside its result: the retriever's score, and what was done."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pytest

from attnmass import AttentionRanker, release, shared_ranker
from tests.contract.adapters import Adapter, Candidate
from tests.contract.candidates import QUERY
from tests.contract.theories import CANDIDATES, stub
from tests.tiny import tiny_model, tiny_tokenizer
from tests.trimming.build import words

SCORED = [replace(each, score=0.5 + place / 8) for place, each in enumerate(CANDIDATES)]


def test_the_retrievers_score_is_kept_on_request(adapter: Adapter) -> None:
    """Under the one hidden key, alone, and read by `details`; by default nothing is written."""
    found = adapter.build(SCORED)
    plain = adapter.run(adapter.Rerank.from_ranker(stub()), found, QUERY)
    assert all(adapter.details(item) == {} for item in plain)
    rerank = adapter.Rerank.from_ranker(stub(), keep_retrieval_score=True, top_n=None)
    scores = {each.id: each.score for each in SCORED}
    result = adapter.run(rerank, found, QUERY)
    for item, read in zip(result, adapter.read(result), strict=True):
        told = dict(adapter.details(item))
        told.pop("hidden_from", None)
        assert told == {"retrieval_score": scores[read.id]}
        assert all("retrieval_score" not in text for text in adapter.visible(item))
    assert [adapter.read(found)[n].score for n in range(len(SCORED))] == list(scores.values())


def test_it_stands_beside_what_trimming_tells(adapter: Adapter) -> None:
    """Trimmed results have it, too, come back as they are, and are restored without it."""
    rerank = adapter.Rerank.from_ranker(
        stub(), max_tokens=20, tokenizer=words, keep_retrieval_score=True, keep_original=True
    )
    found = adapter.build(SCORED)
    once = adapter.run(rerank, found, QUERY)
    scores = {each.id: each.score for each in SCORED}
    for item, read in zip(once, adapter.read(once), strict=True):
        assert adapter.details(item)["retrieval_score"] == scores[read.id]
        assert adapter.details(item)["spans"]
        assert adapter.details(adapter.restore(item)) == {}
    assert adapter.run(rerank, once, QUERY) == once


def test_it_is_the_same_in_every_call(adapter: Adapter) -> None:
    """What is written does not depend on the query, as duplicates of several calls must not."""
    rerank = adapter.Rerank.from_ranker(stub(), keep_retrieval_score=True, top_n=None)
    one, other = (
        {
            read.id: adapter.details(item)
            for result in [adapter.run(rerank, adapter.build(SCORED), query)]
            for item, read in zip(result, adapter.read(result), strict=True)
        }
        for query in (QUERY, "Who moved to Princeton?")
    )
    assert one == other


def test_without_a_score_there_is_none(adapter: Adapter) -> None:
    """Where the retriever gave none it says so."""
    rerank = adapter.Rerank.from_ranker(stub(), keep_retrieval_score=True)
    (item,) = adapter.run(rerank, adapter.build([Candidate("A text.", id="a")]), QUERY)
    assert adapter.details(item)["retrieval_score"] is None


def test_stats_are_the_rankers(adapter: Adapter) -> None:
    """What the ranker did, for all adapters that share it."""
    ranker = AttentionRanker(tiny_model(), tiny_tokenizer(), heads=[(1, 0)])
    rerank, other = (adapter.Rerank.from_ranker(ranker) for _ in range(2))
    assert rerank.stats.calls == 0
    adapter.run(rerank, adapter.build(CANDIDATES), QUERY)
    assert rerank.stats.calls == other.stats.calls == 1
    assert rerank.stats == ranker.stats
    assert rerank.stats.tokens_encoded > 0


def test_stats_load_no_model(adapter: Adapter, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the first use there are none; then the shared ranker's, until it is released."""
    loaded: list[str] = []

    def load(name: str, **options: object) -> AttentionRanker:
        loaded.append(name)
        return AttentionRanker(tiny_model(), tiny_tokenizer(), heads=[(1, 0)])

    monkeypatch.setattr(AttentionRanker, "from_pretrained", load)
    rerank = adapter.Rerank(model="of-this-test", batch_size=3)
    assert rerank.stats is None
    assert loaded == []
    adapter.run(rerank, adapter.build(CANDIDATES), QUERY)
    try:
        assert rerank.stats == shared_ranker("of-this-test").stats
        assert adapter.Rerank(model="of-this-test").stats.calls == 1
        assert adapter.Rerank(model="of-this-test", dtype="float32").stats is None
        assert pickle.loads(pickle.dumps(rerank)).stats.calls == 1
        assert loaded == ["of-this-test"]
    finally:
        assert release("of-this-test") == 1
    assert rerank.stats is None
