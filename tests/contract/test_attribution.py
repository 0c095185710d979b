"""What both adapters promise of answers and of the model that gave them."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest

from attnmass import AttentionRanker
from tests.conftest import HEADS
from tests.contract.adapters import Adapter, Candidate
from tests.contract.candidates import QUERY
from tests.tiny import tiny_model, tiny_tokenizer

ANSWER = "Albert Einstein developed it. That was in 1905."
CANDIDATES = [
    Candidate("The river runs through the city. Trains are slow.", 0.9, "id-0", {}, 50),
    Candidate(" ", 0.8, "id-1"),
    Candidate("Albert Einstein, a physicist, developed the theory in 1905.", 0.7, "id-2"),
]


@pytest.fixture(scope="module")
def tiny() -> AttentionRanker:
    """The tiny model in the parallel layout."""
    return AttentionRanker(tiny_model(), tiny_tokenizer(), heads=HEADS)


def test_an_answer_is_attributed_to_its_sources(adapter: Adapter, tiny: AttentionRanker) -> None:
    """Spans name candidate, place and parent; numbers are those of the core."""
    found = adapter.build(CANDIDATES)
    before = copy.deepcopy(found)
    rerank = adapter.Rerank.from_ranker(tiny)
    result = adapter.attribute(QUERY, found, ANSWER, rerank=rerank, top_spans=9)
    plain = tiny.attribute(QUERY, [each.text for each in CANDIDATES], ANSWER, top_spans=9)
    assert result.scores == pytest.approx(plain.scores, abs=1e-6)
    assert result.scores[1] == 0.0
    assert [each.text for each in result.sentences] == [
        "Albert Einstein developed it.",
        "That was in 1905.",
    ]
    for sentence in result.sentences:
        assert {span.chunk for span in sentence.spans} == {0, 2}
        for span in sentence.spans:
            assert CANDIDATES[span.chunk].text[span.start : span.end] == span.text
            assert span.chunk_id == f"id-{span.chunk}"
            known = (50 + span.start, 50 + span.end) if span.chunk == 0 else (None, None)
            assert (span.doc_start, span.doc_end) == known
    assert adapter.read(found) == adapter.read(before)


@pytest.mark.in_process
def test_an_attribution_draws_itself(adapter: Adapter, tiny: AttentionRanker) -> None:
    """What an adapter returned can be drawn, with the places that it knows."""
    rerank = adapter.Rerank.from_ranker(tiny)
    result = adapter.attribute(QUERY, adapter.build(CANDIDATES), ANSWER, rerank=rerank, top_spans=9)
    data = result.explain().to_dict()
    for sentence in data["sentences"]:
        placed = [span for span in sentence["spans"] if span["chunk"] == 0]
        assert placed
        assert all(span["doc_start"] == 50 + span["start"] for span in placed)
    assert "of its document" in result.explain().to_html()


def test_a_threshold_tells_what_nothing_supports(adapter: Adapter, tiny: AttentionRanker) -> None:
    """Sentences below the caller's threshold are told apart."""
    rerank = adapter.Rerank.from_ranker(tiny)
    found = adapter.build(CANDIDATES)
    for threshold, count in ((1.0, 2), (0.0, 0)):
        result = adapter.attribute(QUERY, found, ANSWER, rerank=rerank, threshold=threshold)
        assert len(result.unsupported) == count


def test_an_answer_without_text_is_an_error(adapter: Adapter, tiny: AttentionRanker) -> None:
    """What holds no answer is refused with what to pass instead."""
    rerank = adapter.Rerank.from_ranker(tiny)
    with pytest.raises((TypeError, ValueError), match=r"no text|must be a string"):
        adapter.attribute(QUERY, adapter.build(CANDIDATES), None, rerank=rerank)


def test_the_pipelines_generator_ranks(adapter: Adapter) -> None:
    """A reranker of a generator ranks with that very model, and never takes it along."""
    from transformers import pipeline

    model, tokenizer = tiny_model(), tiny_tokenizer()
    generator = pipeline("text-generation", model=model, tokenizer=tokenizer)
    rerank = adapter.Rerank.from_generator(
        generator, heads=HEADS, layout="joint", top_n=None, add_scores=True
    )
    found = adapter.run(rerank, adapter.build(CANDIDATES), QUERY)
    expected = AttentionRanker(model, tokenizer, heads=HEADS, layout="joint").rank(
        QUERY, [each.text for each in CANDIDATES]
    )
    assert [each.hidden["score"] for each in adapter.read(found)] == pytest.approx(
        [each.score for each in expected.chunks], abs=1e-6
    )
    dumped: dict[str, Any] = json.loads(rerank.model_dump_json())
    assert (dumped["heads"], dumped["layout"]) == ([list(head) for head in HEADS], "joint")
    assert len(pickle.dumps(rerank)) < 20_000
    assert pickle.loads(pickle.dumps(rerank))._ranker is None


def test_a_named_model_is_read_in_the_layout_of_the_field(
    adapter: Adapter, named: dict[str, Any]
) -> None:
    """`layout` and `heads="all"` are fields as they are options of the ranker."""
    fields = {**named, "profile": None, "heads": "all", "layout": "joint", "top_n": None}
    fields["add_scores"] = True
    rerank = adapter.Rerank(**fields)
    found = adapter.read(adapter.run(rerank, adapter.build(CANDIDATES), QUERY))
    ranker = AttentionRanker(tiny_model(), tiny_tokenizer(), heads="all", layout="joint")
    expected = ranker.rank(QUERY, [each.text for each in CANDIDATES])
    assert [each.hidden["score"] for each in found] == pytest.approx(
        [each.score for each in expected.chunks], abs=1e-5
    )
