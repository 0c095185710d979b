"""What both adapters promise of how they are built, set, copied and pickled."""

from __future__ import annotations

import copy
import json
import pickle
import warnings
from pathlib import Path
from typing import Any

import pytest

import attnmass
from attnmass import AttentionRanker
from tests.conftest import HEADS
from tests.contract.adapters import Adapter, LangChainAdapter, LlamaIndexAdapter
from tests.contract.candidates import CANDIDATES, QUERY, TEXTS


def test_unknown_fields(adapter: Adapter) -> None:
    """A field that there is not is an error at construction, with the nearest that there is."""
    with pytest.raises(ValueError, match=r"has no field 'max_token'\. Did you mean 'max_tokens'"):
        adapter.Rerank(max_token=5)
    with pytest.raises(ValueError, match="zzz"):
        adapter.Rerank(zzz=5)


@pytest.mark.in_process
@pytest.mark.parametrize(
    "fields",
    [
        {"similarity_top_k": 3},
        {"top_n": 0},
        {"top_n": 2.5},
        {"fuse": 1.5},
        {"fuse": float("nan")},
        {"min_relevance": float("nan")},
        {"batch_size": 0},
        {"dtype": "float99"},
        {"on_error": "ignore"},
    ],
    ids=str,
)
def test_bad_options_fail_at_construction(adapter: Adapter, fields: dict[str, Any]) -> None:
    """Unknown options and bad values never wait for the first query."""
    with pytest.raises(ValueError, match=next(iter(fields))):
        adapter.Rerank(**{"on_error": "passthrough", **fields})


@pytest.mark.in_process
def test_copies_share_the_ranker(adapter: Adapter, ranker: AttentionRanker) -> None:
    """A deep copy has options of its own and the same model."""
    rerank = adapter.telling(ranker, top_n=2)
    twin = copy.deepcopy(rerank)
    twin.top_n = 1
    assert twin._ranker is rerank._ranker is ranker
    assert rerank.top_n == 2


@pytest.mark.in_process
def test_pickles_carry_no_weights(
    adapter: Adapter, ranker: AttentionRanker, named: dict[str, Any]
) -> None:
    """A pickle is small, leaves its original alone, and loads the model by name when it is used."""
    rerank = adapter.telling(ranker, top_n=2, model=named["model"])
    found = adapter.build(CANDIDATES)
    expected = adapter.read(adapter.run(rerank, found, QUERY))
    pickled = pickle.dumps(rerank)
    assert len(pickled) < 4000
    assert rerank._ranker is ranker
    other = pickle.loads(pickled)
    assert other._ranker is None
    assert other.heads == ranker.profile.heads
    other.dtype = named["dtype"]
    result = adapter.read(adapter.run(other, found, QUERY))
    assert [item.id for item in result] == [item.id for item in expected]
    assert [item.score for item in result] == pytest.approx([i.score for i in expected])


@pytest.mark.in_process
@pytest.mark.parametrize("heads", [((1, 0), (2, 1)), [[1, 0], [2, 1]]], ids=["tuples", "lists"])
def test_heads_can_be_named(adapter: Adapter, tiny_folder: Path, heads: Any) -> None:
    """`heads` stand in for a profile, without a warning, and survive serialization."""
    fields = {"model": str(tiny_folder), "dtype": "float32"}
    with pytest.warns(UserWarning, match="no head profile ships"):
        adapter.run(adapter.Rerank(**fields), adapter.build(CANDIDATES), QUERY)
    rerank = adapter.Rerank(**fields, heads=heads)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        expected = adapter.read(adapter.run(rerank, adapter.build(CANDIDATES), QUERY))
    assert rerank._load().profile.heads == ((1, 0), (2, 1))
    for other in (
        adapter.Rerank.model_validate(rerank.model_dump()),
        adapter.Rerank.model_validate(json.loads(rerank.model_dump_json())),
        pickle.loads(pickle.dumps(rerank)),
    ):
        assert other.heads == ((1, 0), (2, 1))
        assert other._load() is rerank._load()
        assert adapter.read(adapter.run(other, adapter.build(CANDIDATES), QUERY)) == expected


@pytest.mark.in_process
@pytest.mark.parametrize("heads", [[1, 0], [[1]], [[1, 0, 2]], "1,0"], ids=str)
def test_bad_heads_fail_at_construction(adapter: Adapter, heads: Any) -> None:
    """What are no pairs never wait for the first query."""
    with pytest.raises(ValueError, match="heads"):
        adapter.Rerank(heads=heads)


def test_a_loaded_ranker_leaves_nothing_to_load(adapter: Adapter, ranker: AttentionRanker) -> None:
    """Options that say how a model is loaded contradict a ranker that is loaded already."""
    with pytest.raises(ValueError, match="leave out device, dtype"):
        adapter.telling(ranker, device="cpu", dtype="float32")


@pytest.mark.in_process
def test_bad_assignments_fail(adapter: Adapter) -> None:
    """Options are checked also when they are set later."""
    rerank = adapter.Rerank()
    with pytest.raises(ValueError, match="top_n"):
        rerank.top_n = 0


def test_one_name_is_one_model(named: dict[str, Any]) -> None:
    """Both adapters share the model that they name alike, until one of them releases it."""
    reranks = [
        (adapter, adapter.Rerank(**named)) for adapter in (LlamaIndexAdapter(), LangChainAdapter())
    ]
    loaded = []
    for adapter, rerank in reranks:
        adapter.run(rerank, adapter.build(CANDIDATES), QUERY)
        loaded.append(rerank._load())
    assert loaded[0] is loaded[1]
    reranks[0][1].release()
    assert reranks[1][1]._load() is not loaded[1]
    assert attnmass.release() == 1


@pytest.mark.in_process
def test_loaded_objects_can_be_passed(adapter: Adapter) -> None:
    """`from_model` reads the heads of a model that the pipeline has in memory."""
    from tests.tiny import tiny_model, tiny_tokenizer

    model, tokenizer = tiny_model(), tiny_tokenizer()
    rerank = adapter.Rerank.from_model(model, tokenizer, heads=HEADS, top_n=1, add_scores=True)
    (item,) = adapter.read(adapter.run(rerank, adapter.build(CANDIDATES), QUERY))
    expected = AttentionRanker(model, tokenizer, heads=HEADS).rank(QUERY, TEXTS)
    assert item.score == pytest.approx(expected.chunks[0].score)
