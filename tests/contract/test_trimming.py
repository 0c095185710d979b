"""What both adapters promise of trimmed results."""

from __future__ import annotations

import copy
import itertools
import json
import warnings
from collections.abc import Callable
from typing import Any

import pytest

import attnmass
from attnmass import AttentionRanker, HeadProfile
from tests.contract.adapters import Adapter, Candidate
from tests.contract.stub import StubRanker
from tests.tiny import tiny_tokenizer

QUERY = "Who developed the theory of relativity?"
TEXTS = (
    "The river runs through the city. A bridge of stone spans it. Boats are common.",
    "Einstein was born in Ulm. He developed the theory of relativity in 1905. He played the violin "
    "at home. His theory of gravity followed ten years later. He moved to Princeton.",
    "Trains run late. The theory of trains is simple. Winter is cold.",
)
CANDIDATES = [
    Candidate(text, 0.9 - 0.2 * place, f"id-{place}", {"title": f"T{place}", "tags": ["a"]}, 100)
    for place, text in enumerate(TEXTS)
]


def stub(**options: Any) -> StubRanker:
    """A ranker that looks at theories."""
    return StubRanker(by_theories, hot="theory", **options)


def by_theories(chunk: attnmass.Chunk) -> float:
    """A mass that tests can foretell."""
    return 0.01 * chunk.text.count("theory") + 0.01


def words(text: str) -> int:
    """A tokenizer that tests can foretell."""
    return len(text.split())


def halves(text: str) -> int:
    """Another tokenizer, with two tokens a word."""
    return 2 * words(text)


def make(adapter: Adapter, ranker: Any = None, **fields: Any) -> Any:
    """A reranker that trims, by default to 40 words, and tells all that it can."""
    fields = {"max_tokens": 40, "tokenizer": words, **fields}
    return adapter.telling(ranker or stub(), **fields)


def trimmed(adapter: Adapter, **fields: Any) -> list[Candidate]:
    """What comes of the candidates."""
    return adapter.read(adapter.run(make(adapter, **fields), adapter.build(CANDIDATES), QUERY))


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


def counter(tokenizer: Any) -> Callable[[str], int]:
    """Tokens as a number."""
    if tokenizer is words:
        return words
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False))


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


@pytest.mark.parametrize("trim", [{}, {"max_tokens": 40}], ids=["rerank", "trim"])
class TestEvidence:
    """How much the query's attention found."""

    def test_it_is_told(self, adapter: Adapter, trim: dict[str, Any]) -> None:
        """Evidence of the whole ranking is in the metadata of each result."""
        ranker = stub()
        rerank = adapter.telling(ranker, evidence_threshold=0.9, **trim)
        result = adapter.read(adapter.run(rerank, adapter.build(CANDIDATES), QUERY))
        expected = ranker.rank(QUERY, [attnmass.Chunk(text) for text in TEXTS]).evidence
        assert 0 < expected < 0.9
        assert [item.hidden["evidence"] for item in result] == pytest.approx(
            [expected] * len(result)
        )
        assert all(item.hidden["no_evidence"] is True for item in result)
        rerank.evidence_threshold = 0.0
        result = adapter.read(adapter.run(rerank, adapter.build(CANDIDATES), QUERY))
        assert all(item.hidden["no_evidence"] is False for item in result)

    def test_empty(self, adapter: Adapter, trim: dict[str, Any]) -> None:
        """`empty` returns nothing where there is none, and everything as ever where there is."""
        rerank = adapter.telling(stub(), evidence_threshold=0.9, on_no_evidence="empty", **trim)
        assert adapter.run(rerank, adapter.build(CANDIDATES), QUERY) == []
        rerank.evidence_threshold = 0.001
        assert adapter.run(rerank, adapter.build(CANDIDATES), QUERY)

    @pytest.mark.parametrize("on_error", ["raise", "passthrough"])
    async def test_raise(self, adapter: Adapter, trim: dict[str, Any], on_error: str) -> None:
        """`raise` is an answer that was asked for: it is raised whatever `on_error` says."""
        rerank = adapter.telling(
            stub(), evidence_threshold=0.9, on_no_evidence="raise", on_error=on_error, **trim
        )
        found = adapter.build(CANDIDATES)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(attnmass.NoEvidenceError, match="no evidence for") as caught:
                adapter.run(rerank, found, QUERY)
            with pytest.raises(attnmass.NoEvidenceError):
                await adapter.arun(rerank, found, QUERY)
        assert len(caught.value.ranking.dropped) == len(TEXTS)


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


@pytest.mark.parametrize(("query", "fields"), OTHERS, ids=str)
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
