"""What both adapters promise of trimmed results."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from attnmass import AttentionRanker
from tests.contract.adapters import Adapter, Candidate
from tests.contract.candidates import QUERY
from tests.contract.theories import CANDIDATES, TEXTS, counter, make, stub, trimmed
from tests.tiny import tiny_tokenizer
from tests.trimming.build import words


def test_only_the_best_sentences_are_left(adapter: Adapter) -> None:
    """Text between kept spans is replaced by the separator; chunks without a kept one are gone."""
    result = trimmed(adapter, max_tokens=None, top_p=0.6, separator="[...]")
    assert [(item.id, item.text) for item in result] == [
        (
            "id-1",
            "He developed the theory of relativity in 1905. [...] His theory of gravity followed "
            "ten years later.",
        ),
        ("id-2", "The theory of trains is simple."),
    ]


def test_without_a_request_nothing_is_trimmed(adapter: Adapter) -> None:
    """By default texts stay whole and no span is told."""
    result = adapter.read(adapter.run(adapter.telling(stub()), adapter.build(CANDIDATES), QUERY))
    assert sorted(item.text for item in result) == sorted(TEXTS)
    assert not {"spans", "original_text"} & set(result[0].hidden)


def test_ids_and_metadata_survive(adapter: Adapter) -> None:
    """A trimmed candidate has the id and the metadata of its original."""
    result = trimmed(adapter)
    assert result
    for item in result:
        before = CANDIDATES[item.hidden["rank_before"]]
        assert item.id == before.id
        assert {key: item.metadata[key] for key in before.metadata} == before.metadata


def test_nothing_that_comes_in_is_changed(adapter: Adapter) -> None:
    """List and candidates stay as they were, also when the result is edited."""
    found = adapter.build(CANDIDATES)
    before, items = copy.deepcopy(found), list(found)
    result = adapter.run(make(adapter), found, QUERY)
    for item in adapter.read(result):
        item.metadata["tags"].append("edited")
        item.hidden["spans"].clear()
    assert found == before
    assert all(now is then for now, then in zip(found, items, strict=True))


def test_spans_are_told_verbatim(adapter: Adapter) -> None:
    """Each kept span names its text in the original, chunk-relative and in the parent."""
    result = trimmed(adapter)
    for item in result:
        original = item.hidden.get("original_text", item.text)
        assert original == CANDIDATES[item.hidden["rank_before"]].text
        for span in item.hidden["spans"]:
            assert set(span) == {
                "id", "start", "end", "place", "doc_start", "doc_end", "score", "kind", "reason",
            }  # fmt: skip
            at = span["place"]
            assert item.text[at:].startswith(original[span["start"] : span["end"]])
            assert (span["doc_start"], span["doc_end"]) == (100 + span["start"], 100 + span["end"])
            assert (span["kind"], type(span["score"])) == ("sentence", float)
    told = [span["id"] for item in result for span in item.hidden["spans"]]
    assert len(set(told)) == len(told)
    assert sum(item.hidden["n_dropped_spans"] for item in result) > 0


def test_without_a_parent_offset_none_is_told(adapter: Adapter) -> None:
    """Where the place in the parent is not known, spans do not name one."""
    found = adapter.build([Candidate(TEXTS[1], 0.5, "a")])
    (item,) = adapter.read(adapter.run(make(adapter, max_tokens=20), found, QUERY))
    assert item.hidden["spans"]
    assert not any("doc_start" in span for span in item.hidden["spans"])


@pytest.mark.parametrize(
    ("keep", "text", "offset"),
    [
        ({"min_keep": 1}, "He developed the theory of relativity in 1905.", 126),
        ({"min_keep": 2}, None, None),
        ({"min_keep": 2, "neighbors": 1}, TEXTS[1], 100),
    ],
    ids=["one slice", "two", "whole"],
)
def test_offsets_name_one_slice_or_none(
    adapter: Adapter, keep: dict[str, Any], text: str | None, offset: int | None
) -> None:
    """The parent offset moves to the text that is left, and is gone where there is a gap."""
    found = adapter.build(CANDIDATES[1:2])
    (native,) = adapter.run(make(adapter, max_tokens=None, top_p=1e-9, **keep), found, QUERY)
    (item,) = adapter.read([native])
    assert text is None or item.text == text
    assert adapter.offset(native) == offset
    assert ("original_text" in item.hidden) is (item.text != TEXTS[1])


def test_details_are_plain_data(adapter: Adapter) -> None:
    """All that is added is JSON, with and without trimming."""
    for fields in ({}, {"max_tokens": None, "tokenizer": None}):
        for item in trimmed(adapter, **fields):
            assert json.loads(json.dumps(item.hidden)) == item.hidden


def test_what_models_are_shown_has_the_trimmed_text_and_nothing_else(adapter: Adapter) -> None:
    """What was added stays hidden from LLM and embedder."""
    for native in adapter.run(make(adapter), adapter.build(CANDIDATES), QUERY):
        (item,) = adapter.read([native])
        for shown in adapter.visible(native):
            assert item.text in shown
            assert "attnmass" not in shown
            assert "original_text" not in shown


@pytest.mark.parametrize("max_tokens", [12, 25, 40, 80, 1000])
@pytest.mark.parametrize("tokenizer", [None, words, tiny_tokenizer()], ids=["own", "call", "hf"])
def test_the_ceiling_holds(adapter: Adapter, tokenizer: Any, max_tokens: int) -> None:
    """What the LLM is shown takes no more tokens than asked for, joined as well as apart."""
    rerank = make(adapter, max_tokens=max_tokens, tokenizer=tokenizer, on_empty="empty")
    result = adapter.run(rerank, adapter.build(CANDIDATES), QUERY)
    count = adapter.count if tokenizer is None else counter(tokenizer)
    shown = [adapter.visible(native)[0] for native in result]
    assert count("\n\n".join(shown)) <= max_tokens
    assert sum(map(count, shown)) <= max_tokens
    if max_tokens == 1000:
        assert sorted(item.text for item in adapter.read(result)) == sorted(TEXTS)


@pytest.mark.parametrize("on_empty", ["raise", "empty", "cut"])
def test_a_budget_too_small(adapter: Adapter, on_empty: str) -> None:
    """Where no sentence fits, `on_empty` says what happens."""
    rerank = make(adapter, max_tokens=7, tokenizer=words, on_empty=on_empty, separator="")
    bare = [Candidate("He developed the theory of relativity in the year 1905.", 0.5)]
    found = adapter.build(bare)
    if on_empty == "raise":
        with pytest.raises(ValueError, match=r"max_tokens=7 .* for any span"):
            adapter.run(rerank, found, QUERY)
        return
    result = [item.text for item in adapter.read(adapter.run(rerank, found, QUERY))]
    assert result == ([] if on_empty == "empty" else ["He developed the theory of relativity in"])


def test_blank_candidates_are_left_out(adapter: Adapter) -> None:
    """What has no text has no span to keep."""
    found = adapter.build([Candidate(" \n", 0.9, "blank"), *CANDIDATES, Candidate("", 0.1, "none")])
    result = adapter.read(adapter.run(make(adapter, top_n=None), found, QUERY))
    assert {item.id for item in result} <= {"id-0", "id-1", "id-2"}
    only = adapter.build([Candidate(" ", 0.5)])
    assert adapter.run(make(adapter), only, QUERY) == []


def test_duplicates_are_trimmed_as_candidates_of_their_own(adapter: Adapter) -> None:
    """Equal ids and equal texts are matched by position, and share their span's ids."""
    twins = [Candidate(TEXTS[1], 0.5, "same", {"place": place}) for place in range(3)]
    rerank = make(adapter, max_tokens=None, top_p=0.9)
    result = adapter.read(adapter.run(rerank, adapter.build(twins), QUERY))
    assert [item.metadata["place"] for item in result] == [0, 1, 2]
    assert [item.hidden["rank_before"] for item in result] == [0, 1, 2]
    first = [item.hidden["spans"][0]["id"] for item in result]
    assert first[0] == first[1]


@pytest.mark.parametrize(
    ("order", "places"), [("score", [1, 2, 0]), ("input", [0, 1, 2]), ("best_last", [0, 2, 1])]
)
def test_order(adapter: Adapter, order: str, places: list[int]) -> None:
    """`order` is the core's, also for what is trimmed."""
    result = trimmed(adapter, order=order, max_tokens=None, keep_ratio=1.0)
    assert [item.hidden["rank_before"] for item in result] == places


def test_trimming_is_the_cores(adapter: Adapter, ranker: AttentionRanker) -> None:
    """Over a real model the texts, scores and spans are those that the core gives."""
    options: dict[str, Any] = {"keep_ratio": 0.5, "neighbors": 1, "resolve_context": True}
    options["tokenizer"] = words
    rerank = adapter.telling(ranker, **options, top_n=2)
    bare = [Candidate(text) for text in TEXTS]
    result = adapter.read(adapter.run(rerank, adapter.build(bare), QUERY))
    expected = ranker.trim(QUERY, TEXTS, **options, top_n=2).chunks
    assert [item.text for item in result] == [chunk.text for chunk in expected]
    assert [item.score for item in result] == pytest.approx([chunk.score for chunk in expected])
    for item, chunk in zip(result, expected, strict=True):
        assert [(span["id"], span["start"], span["end"]) for span in item.hidden["spans"]] == [
            (span.id, span.start, span.end) for span in chunk.kept_spans
        ]


@pytest.mark.in_process
def test_every_option_reaches_the_core(adapter: Adapter) -> None:
    """Options of trimming and of selection are passed on as they are."""
    ranker = stub()
    how = {
        "max_tokens": 50,
        "keep_ratio": 0.9,
        "top_p": 0.8,
        "min_keep": 2,
        "keep_titles": False,
        "neighbors": 1,
        "resolve_context": True,
        "separator": "~",
        "on_empty": "cut",
        "language": "en",
    }
    which = {
        "top_n": 2,
        "min_relevance": None,
        "fuse": 0.5,
        "retrieval_kind": "similarity",
        "order": "input",
        "evidence_threshold": 0.25,
        "on_no_evidence": "empty",
    }
    adapter.run(make(adapter, ranker, **how, **which), adapter.build(CANDIDATES), QUERY)
    given = ranker.calls[0].options
    assert {name: getattr(given["trim"], name) for name in how} == how
    assert {name: given[name] for name in which} == which


async def test_async_gives_the_same(adapter: Adapter) -> None:
    """Trimming from an event loop gives what the blocking call gives."""
    rerank, found = make(adapter), adapter.build(CANDIDATES)
    assert adapter.read(await adapter.arun(rerank, found, QUERY)) == adapter.read(
        adapter.run(rerank, found, QUERY)
    )


def test_passthrough_gives_the_whole_candidates(adapter: Adapter) -> None:
    """A failure under `passthrough` returns what came in, more than the budget or not."""
    rerank = make(adapter, stub(error=RuntimeError("boom")), max_tokens=5, on_error="passthrough")
    found = adapter.build(CANDIDATES)
    with pytest.warns(RuntimeWarning, match="boom"):
        assert adapter.run(rerank, found, QUERY) == found


def test_retrievers_trim(adapter: Adapter) -> None:
    """The adapter's retriever returns what its reranker makes of the candidates."""
    rerank, found = make(adapter, top_n=2), adapter.build(CANDIDATES)
    expected = adapter.read(adapter.run(rerank, found, QUERY))
    assert adapter.read(adapter.retriever(found, rerank)(QUERY)) == expected
    assert any("original_text" in item.hidden for item in expected)
