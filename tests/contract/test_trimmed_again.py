"""What both adapters promise of trimmed results that are passed through again, or restored."""

from __future__ import annotations

import copy
import itertools
import json
from typing import Any

import pytest

from attnmass import HeadProfile
from tests.contract.adapters import Adapter, Candidate
from tests.contract.candidates import QUERY
from tests.contract.stub import StubRanker
from tests.contract.theories import CANDIDATES, TEXTS, make, stub
from tests.naming import steady
from tests.trimming.build import words


def halves(text: str) -> int:
    """Another tokenizer, with two tokens a word."""
    return 2 * words(text)


OPTIONS: dict[str, list[Any]] = {
    "max_tokens": [None, 40],
    "keep_ratio": [None, 0.5],
    "top_p": [None, 0.7],
    "top_n": [None, 2],
}


@pytest.mark.parametrize(
    "options",
    [
        chosen
        for values in itertools.product(*OPTIONS.values())
        if (chosen := dict(zip(OPTIONS, values, strict=True)))
        and any(chosen[name] for name in ("max_tokens", "keep_ratio", "top_p"))
    ],
    ids=lambda chosen: "-".join(name for name, value in chosen.items() if value),
)
def test_twice_is_once(adapter: Adapter, options: dict[str, Any]) -> None:
    """A trimmed result passed through again stays the same, and is a copy."""
    rerank = make(adapter, **options)
    once = adapter.run(rerank, adapter.build(CANDIDATES), QUERY)
    before = copy.deepcopy(once)
    twice = adapter.run(rerank, once, QUERY)
    assert twice == once == before
    assert all(new is not old for new, old in zip(twice, once, strict=True))


OTHERS: list[tuple[str, dict[str, Any]]] = [
    ("What is cold?", {}),
    (QUERY, {"max_tokens": 30}),
    (QUERY, {"max_tokens": 120}),
    (QUERY, {"max_tokens": None, "top_p": 0.5}),
    (QUERY, {"separator": " - "}),
    (QUERY, {"top_n": 1}),
    (QUERY, {"tokenizer": halves}),
    (QUERY, {"max_tokens": None, "tokenizer": None}),
]


@pytest.mark.parametrize(("query", "fields"), OTHERS, ids=steady)
def test_another_request_starts_from_the_originals(
    adapter: Adapter, query: str, fields: dict[str, Any]
) -> None:
    """With another query or other options the result is that of the originals: no lost twice."""
    once = adapter.run(make(adapter), adapter.build(CANDIDATES), QUERY)
    places = [item.hidden["rank_before"] for item in adapter.read(once)]
    other = make(adapter, **fields)
    assert adapter.run(other, once, query) == adapter.run(
        other, adapter.build([CANDIDATES[place] for place in places]), query
    )


def test_other_heads_start_from_the_originals(adapter: Adapter) -> None:
    """A result of other heads of the same model is not taken for this one's."""
    found = adapter.build(CANDIDATES)
    once = adapter.run(make(adapter), found, QUERY)
    other = stub(profile=HeadProfile("stub", "parallel", ((0, 1),), (1.0,)))
    adapter.run(make(adapter, other), once, QUERY)
    assert set(other.read[0].split()) & {"Ulm.", "violin"}


def test_two_results_of_one_request_do_not_pass_as_one(adapter: Adapter) -> None:
    """What is put together from two trimmed results is trimmed again: the ceiling holds."""
    rerank = make(adapter, max_tokens=25, tokenizer=words)
    parts = [adapter.run(rerank, adapter.build([found]), QUERY) for found in CANDIDATES]
    result = adapter.run(rerank, [native for part in parts for native in part], QUERY)
    assert sum(words(adapter.visible(native)[0]) for native in result) <= 25


def test_a_text_that_others_changed_is_not_restored(adapter: Adapter) -> None:
    """Who masks a name in a trimmed text does not find it again in the next result."""
    once = adapter.run(make(adapter), adapter.build(CANDIDATES[1:2]), QUERY)
    (native,) = once
    changed = adapter.read(once)[0].text.replace("relativity", "XXX")
    if hasattr(native, "node"):
        native.node.set_content(changed)
    else:
        native.page_content = changed
    (item,) = adapter.read(adapter.run(make(adapter, max_tokens=500), once, QUERY))
    assert item.text == changed
    assert "relativity" not in json.dumps(item.hidden)


@pytest.mark.parametrize("trim", [{}, {"max_tokens": 40}, {"top_p": 1.0}], ids=str)
def test_restore(adapter: Adapter, trim: dict[str, Any]) -> None:
    """`restore` gives back what came in, and leaves its argument alone."""
    found = adapter.build([*CANDIDATES, Candidate(TEXTS[0], None, "bare")])
    rerank = adapter.telling(stub(), top_n=None, **trim)
    result = adapter.run(rerank, found, QUERY)
    before = copy.deepcopy(result)
    restored = [adapter.restore(native) for native in result]
    assert restored == [found[item.hidden["rank_before"]] for item in adapter.read(result)]
    assert result == before
    assert [adapter.restore(native) for native in restored] == restored
    assert all(new is not old for new, old in zip(found, adapter.build(CANDIDATES), strict=False))


def test_metadata_of_others_under_our_key_is_left_alone(adapter: Adapter) -> None:
    """Whoever has a key of that name himself can rerank, restore and cite all the same."""
    found = adapter.build([Candidate(TEXTS[0], 0.5, "a", {"attnmass": "theirs"})])
    assert adapter.restore(found[0]) == found[0]
    assert adapter.cite(found).sources[0].metadata["attnmass"] == "theirs"
    assert adapter.run(make(adapter), found, QUERY)


@pytest.mark.parametrize("told", [{}, {"add_scores": True, "keep_original": True}], ids=str)
@pytest.mark.parametrize("trim", [{}, {"max_tokens": 40}], ids=["rerank", "trim"])
def test_metadata_stay_flat(adapter: Adapter, trim: dict[str, Any], told: dict[str, Any]) -> None:
    """What is added are texts and numbers alone, as flat vector stores take them."""
    rerank = adapter.Rerank.from_ranker(stub(), **trim, **told)
    given = [Candidate(text, 0.5, str(n)) for n, text in enumerate(TEXTS)]
    result = adapter.read(adapter.run(rerank, adapter.build(given), QUERY))
    assert result
    for item in result:
        assert all(type(value) in (str, int, float, bool) for value in item.metadata.values())
        assert ("attnmass" in item.metadata) is bool(trim or told)


def test_what_is_left_alike_is_told_alike(adapter: Adapter) -> None:
    """By default metadata are the same for the same sentences of a chunk, whatever the call."""
    calls = [
        (QUERY, CANDIDATES, stub()),
        ("Whose theory is it?", CANDIDATES[1:], StubRanker(lambda chunk: 0.3, hot="theory")),
    ]
    found = []
    for query, candidates, ranker in calls:
        rerank = adapter.Rerank.from_ranker(ranker, top_p=0.9)
        result = adapter.read(adapter.run(rerank, adapter.build(candidates), query))
        found.append({item.id: (item.text, item.metadata) for item in result})
    assert found[0]["id-1"] == found[1]["id-1"]
    assert set(adapter.details(adapter.run(rerank, adapter.build(candidates), query)[0])) == {
        "digest", "n_dropped_spans", "spans", *(adapter.own_keys & {"hidden_from"}),
    }  # fmt: skip


def test_the_original_is_kept_on_request(adapter: Adapter) -> None:
    """Else what was dropped is nowhere, and `restore` says what to set."""
    found = adapter.build(CANDIDATES)
    natives = adapter.run(adapter.Rerank.from_ranker(stub(), top_p=0.6), found[1:2], QUERY)
    (native,) = natives
    (item,) = adapter.read(natives)
    assert item.text != TEXTS[1]
    assert "violin" not in json.dumps(item.metadata)
    with pytest.raises(ValueError, match="set keep_original=True"):
        adapter.restore(native)
    sources = adapter.cite(natives).sources
    assert [TEXTS[1][each.start : each.end] for each in sources] == item.text.split(" … ")
    assert [each.text for each in sources] == item.text.split(" … ")
    whole = adapter.run(adapter.Rerank.from_ranker(stub(), keep_ratio=1.0), found, QUERY)
    texts = sorted(each.text for each in adapter.read([adapter.restore(each) for each in whole]))
    assert texts == sorted(TEXTS)


@pytest.mark.in_process
def test_twice_is_once_without_a_word_in_the_metadata(adapter: Adapter) -> None:
    """What a reranker gave stays as it is, with the scores and originals in no metadata."""
    rerank = adapter.Rerank.from_ranker(stub(), top_p=0.5)
    once = adapter.run(rerank, adapter.build(CANDIDATES), QUERY)
    assert adapter.run(rerank, once, QUERY) == once
    n_calls = len(rerank._load().calls)
    assert adapter.run(rerank, adapter.build(CANDIDATES), QUERY) == once
    assert len(rerank._load().calls) == n_calls + 1
