"""What both adapters promise of a budget: whom it is for, what stays, and what a dry run does."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from attnmass import HeadProfile
from tests.contract.adapters import Adapter, Candidate
from tests.contract.candidates import QUERY
from tests.contract.stub import StubRanker
from tests.contract.theories import CANDIDATES, TEXTS, make, stub, trimmed
from tests.trimming.build import words

MANY = [Candidate(f"Item {n} is told of here.", 0.9 - n / 100, f"id-{n}") for n in range(12)]


def test_all_compete_for_a_budget(adapter: Adapter) -> None:
    """Without a `top_n`, five are kept, but under `max_tokens` as many as there is room for."""
    ranker = StubRanker()

    def kept(**fields: Any) -> int:
        rerank = adapter.Rerank.from_ranker(ranker, tokenizer=None, **fields)
        return len(adapter.run(rerank, adapter.build(MANY), QUERY))

    assert kept() == kept(keep_ratio=1.0) == 5
    assert kept(max_tokens=10_000) == kept(max_tokens=10_000, top_n=None) == 12
    assert kept(max_tokens=10_000, top_n=5) == kept(max_tokens=10_000, top_n=5, order="input") == 5


def test_retrievers_let_all_compete(adapter: Adapter) -> None:
    """What is fetched and fits comes back, where no number was asked for."""
    found = adapter.build(MANY)
    for fields, n_kept in (({}, 5), ({"max_tokens": 10_000}, 12)):
        rerank = adapter.Rerank.from_ranker(StubRanker(), **fields)
        assert len(adapter.retriever(found, rerank)(QUERY)) == n_kept


def test_what_must_stay(adapter: Adapter) -> None:
    """Patterns reach the core, and come back from a dump."""
    rerank = make(adapter, must_keep=["numbers", "Boats"], max_tokens=60)
    result = adapter.read(adapter.run(rerank, adapter.build(CANDIDATES), QUERY))
    texts = " ".join(item.text for item in result)
    assert "in 1905." in texts
    assert "Boats are common." in texts
    assert adapter.Rerank(**rerank.model_dump(include={"max_tokens", "must_keep"})).must_keep == (
        "numbers",
        "Boats",
    )
    with pytest.raises(ValueError, match="Did you mean 'numbers'"):
        adapter.Rerank(max_tokens=5, must_keep=["number"])


@pytest.mark.parametrize("order", ["score", "input", "best_last"])
def test_a_dry_run_changes_nothing(adapter: Adapter, order: str) -> None:
    """All candidates come back as a rerank gives them; `last_ranking` tells what would be left."""
    found = adapter.build(CANDIDATES)
    before = copy.deepcopy(found)
    rerank = make(adapter, dry_run=True, order=order, keep_ranking=True, top_n=1)
    result = adapter.run(rerank, found, QUERY)
    assert found == before
    plain = adapter.telling(stub(), order=order, top_n=None)
    assert adapter.read(result) == adapter.read(adapter.run(plain, found, QUERY))
    assert sorted(item.text for item in adapter.read(result)) == sorted(TEXTS)
    saving = rerank.last_ranking.saving
    assert [chunk.text for chunk in saving.chunks] == [
        item.text for item in trimmed(adapter, order=order, top_n=1)
    ]
    assert saving.n_tokens_after <= 40 < saving.n_tokens_before


def test_a_dry_run_raises_nothing(adapter: Adapter) -> None:
    """What trimming would raise is told instead."""
    rerank = make(adapter, dry_run=True, keep_ranking=True, max_tokens=1)
    assert len(adapter.run(rerank, adapter.build(CANDIDATES), QUERY)) == 3
    assert "max_tokens=1 is too few" in rerank.last_ranking.saving.error


def test_a_dry_run_is_a_way_to_trim(adapter: Adapter) -> None:
    """Without a request there is nothing to try."""
    with pytest.raises(ValueError, match="no use for dry_run"):
        adapter.Rerank(dry_run=True)
    profile = HeadProfile("stub", "parallel", ((0, 0),), (1.0,))
    again = adapter.Rerank.from_ranker(
        StubRanker(profile=profile), max_tokens=9, dry_run=True, tokenizer=words
    )
    assert again.dry_run
