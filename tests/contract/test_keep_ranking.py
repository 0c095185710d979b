"""The last ranking, kept on request to be drawn."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace
from typing import Any

import pytest

from tests.contract.adapters import Adapter
from tests.contract.candidates import QUERY
from tests.contract.theories import CANDIDATES, make, stub


def test_the_last_ranking_is_kept_on_request(adapter: Adapter) -> None:
    """It is that of the last call, and draws what the call ranked."""
    rerank = adapter.telling(stub(), keep_ranking=True)
    assert rerank.last_ranking is None
    for query in (QUERY, "Who moved to Princeton?"):
        result = adapter.read(adapter.run(rerank, adapter.build(CANDIDATES), query))
        ranking = rerank.last_ranking
        assert ranking.query == query
        assert [item.id for item in result] == [f"id-{chunk.index}" for chunk in ranking.chunks]
        assert [item.score for item in result] == [chunk.score for chunk in ranking.chunks]
        html = ranking.explain().to_html()
        assert all(item.text in _text(html) for item in result)


def test_a_trimmed_ranking_is_kept_as_it_was_returned(adapter: Adapter) -> None:
    """Its kept spans are those of the result."""
    rerank = make(adapter, keep_ranking=True, max_tokens=20)
    result = adapter.read(adapter.run(rerank, adapter.build(CANDIDATES), QUERY))
    assert [item.text for item in result] == [chunk.text for chunk in rerank.last_ranking.chunks]
    assert any(span.reason == "max_tokens" for c in rerank.last_ranking.chunks for span in c.spans)


def test_adapters_know_where_chunks_are(adapter: Adapter) -> None:
    """Ids and places in documents are told by what draws the last ranking."""
    found = adapter.build(
        [replace(each, offset=50 * place) for place, each in enumerate(CANDIDATES)]
    )
    rerank = make(adapter, keep_ranking=True, max_tokens=30)
    adapter.run(rerank, found, QUERY)
    explanation = rerank.last_ranking.explain()
    for chunk in explanation.chunks:
        candidate = CANDIDATES[chunk.ranked.index]
        assert (chunk.id, chunk.offset) == (candidate.id, 50 * chunk.ranked.index)
    data = explanation.to_dict()["chunks"]
    assert [chunk["doc_start"] for chunk in data] == [50 * chunk["index"] for chunk in data]
    assert "of its document" in _text(explanation.to_html())


def test_metadata_reach_the_ranking(adapter: Adapter) -> None:
    """What a framework knows of a candidate is known of its chunk, kept, dropped or blank."""
    given = [replace(each, metadata={"page": place}) for place, each in enumerate(CANDIDATES)]
    given.append(replace(given[0], text=" ", metadata={"page": len(given)}))
    rerank = adapter.telling(stub(), keep_ranking=True, top_n=1)
    adapter.run(rerank, adapter.build(given), QUERY)
    ranking = rerank.last_ranking
    for chunk in (*ranking.chunks, *ranking.dropped):
        assert chunk.metadata["page"] == chunk.index
    assert len(ranking.dropped) == len(given) - 1


async def test_async_calls_keep_it_too(adapter: Adapter) -> None:
    """So do calls from an event loop."""
    rerank = adapter.Rerank.from_ranker(stub(), keep_ranking=True)
    await adapter.arun(rerank, adapter.build(CANDIDATES), QUERY)
    assert rerank.last_ranking.query == QUERY


def test_by_default_nothing_is_kept(adapter: Adapter) -> None:
    """Without the field there is none, and none once it is taken back."""
    rerank = adapter.Rerank.from_ranker(stub())
    adapter.run(rerank, adapter.build(CANDIDATES), QUERY)
    assert rerank.last_ranking is None
    assert rerank._last_ranking is None
    rerank.keep_ranking = True
    assert rerank.last_ranking is None
    adapter.run(rerank, adapter.build(CANDIDATES), QUERY)
    assert rerank.last_ranking is not None
    rerank.keep_ranking = False
    assert rerank.last_ranking is None


def test_a_call_with_nothing_to_rank_keeps_the_one_before(adapter: Adapter) -> None:
    """No candidates are no ranking."""
    rerank = adapter.Rerank.from_ranker(stub(), keep_ranking=True)
    adapter.run(rerank, adapter.build(CANDIDATES), QUERY)
    ranking = rerank.last_ranking
    adapter.run(rerank, [], "Another?")
    assert rerank.last_ranking is ranking


def test_it_is_not_serialized(adapter: Adapter) -> None:
    """Dumps and pickles hold the field and not the ranking; a deep copy shares it."""
    rerank = adapter.Rerank.from_ranker(stub(), keep_ranking=True)
    adapter.run(rerank, adapter.build(CANDIDATES), QUERY)
    assert rerank.model_dump()["keep_ranking"] is True
    assert QUERY not in rerank.model_dump_json()
    other = pickle.loads(pickle.dumps(rerank))
    assert other.keep_ranking
    assert other.last_ranking is None
    assert rerank.last_ranking is not None
    assert copy.deepcopy(rerank).last_ranking is rerank.last_ranking


def test_keeping_changes_no_result(adapter: Adapter) -> None:
    """What comes back, its digest of the request included, is the same with it and without."""
    found = adapter.build(CANDIDATES)
    with_it, without = (
        adapter.run(make(adapter, keep_ranking=kept), found, QUERY) for kept in (True, False)
    )
    assert with_it == without


@pytest.mark.parametrize("wrong", [None, "always", 3])
def test_it_is_a_bool(adapter: Adapter, wrong: Any) -> None:
    """Anything else fails at construction."""
    with pytest.raises(ValueError, match="keep_ranking"):
        adapter.Rerank(keep_ranking=wrong)


def _text(html: str) -> str:
    """The text of a page."""
    from tests.explain.support import Page

    return str(Page(html).all("main")[0]["text"])
