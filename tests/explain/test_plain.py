"""JSON, and what all drawings share."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from attnmass import AttentionRanker, Trim
from attnmass.explain import Explanation
from tests.explain.support import CHUNKS, HOSTILE, QUERY, rank


@pytest.mark.parametrize("options", [{}, {"query_words": True}, {"trim": Trim(keep_ratio=0.5)}])
def test_json_goes_there_and_back(ranker: AttentionRanker, options: dict[str, object]) -> None:
    """What `to_json` writes is what `to_dict` gives, hostile text included, in plain ASCII."""
    explanation = rank(ranker, [*HOSTILE, *CHUNKS, " "], **options).explain()
    text = explanation.to_json()
    assert json.loads(text) == explanation.to_dict()
    assert text.isascii()


def test_numbers_add_up(ranker: AttentionRanker) -> None:
    """Words add up to each chunk's score, by heads as weighted, and by the query's words."""
    ranking = rank(ranker, query_words=True)
    data = ranking.explain().to_dict()
    assert data["query"] == QUERY
    assert [tuple(head) for head in data["heads"]] == list(ranking.profile.all_heads)
    assert ranking.trace is not None
    lengths = [
        sum(
            word["start"] <= start + (QUERY[start] == " ") < word["end"]
            for start, _ in ranking.trace.query_offsets.tolist()
        )
        for word in data["query_words"]
    ]
    assert sum(lengths) == len(ranking.trace.query_offsets)
    for chunk, ranked in zip(data["chunks"], ranking.chunks, strict=True):
        assert (chunk["index"], chunk["score"]) == (ranked.index, round(ranked.score, 7))
        assert chunk["mass"] == round(ranked.mass, 7)
        words = chunk["words"]
        assert sum(w["mass"] for w in words) == pytest.approx(ranked.mass, abs=1e-5)
        by_head = np.sum([w["heads"] for w in words], axis=0)
        assert np.dot(by_head, data["weights"]) == pytest.approx(ranked.mass, abs=1e-5)
        by_query = np.sum([w["by_query_word"] for w in words], axis=0)
        assert np.average(by_query, weights=lengths) == pytest.approx(ranked.mass, abs=1e-5)


def test_words_and_pieces_are_places_in_what_was_read(ranker: AttentionRanker) -> None:
    """Pieces cover what the model read without gaps, and words are cut out of it."""
    data = rank(ranker, trim=Trim(keep_ratio=0.5)).explain().to_dict()
    for chunk in data["chunks"]:
        read, source = chunk["read"], CHUNKS[chunk["index"]]
        assert "".join(read[p["start"] : p["end"]] for p in chunk["pieces"]) == read
        own = "".join(read[p["start"] : p["end"]] for p in chunk["pieces"] if p["part"] == "text")
        assert own == source.text
        parts = [p["part"] for p in chunk["pieces"]]
        assert ("title" in parts) == (source.title is not None)
        assert ("before" in parts, "after" in parts) == (source.before != "", source.after != "")
        words = [read[w["start"] : w["end"]] for w in chunk["words"]]
        assert "".join(words).replace(" ", "") == "".join(read.split()) or "\n" in "".join(words)
        for piece in chunk["pieces"]:
            assert (piece["kept"] is None) or piece["part"] == "text"


def test_scores_that_json_has_no_word_for(ranker: AttentionRanker) -> None:
    """A retriever's NaN becomes null."""
    ranking = rank(ranker, ["Trains."], retrieval_scores=[float("nan")])
    assert json.loads(ranking.explain().to_json())["chunks"][0]["retrieval_score"] is None


def test_a_ranking_without_attention_says_so(ranker: AttentionRanker) -> None:
    """One that was put together by hand cannot be drawn, and the error says what can."""
    with pytest.raises(ValueError, match=r"pass one that AttentionRanker.rank returned"):
        replace(rank(ranker), trace=None).explain()


def test_views(ranker: AttentionRanker) -> None:
    """All heads come first, then each alone; what was not read or told apart is an error."""
    explanation: Explanation = rank(ranker).explain()
    assert explanation.view() == 0
    for head in explanation.heads:
        view = explanation.views[explanation.view(head)]
        assert view.label.startswith(f"Layer {head[0]}, head {head[1]} ")
        assert view.weights[explanation.heads.index(head)] == sum(view.weights) == 1.0
    with pytest.raises(ValueError, match=r"head \(9, 9\) was not read: pass one of"):
        explanation.view((9, 9))
    with pytest.raises(ValueError, match="rank with query_words=True"):
        explanation.check_word(0)
    with pytest.raises(ValueError, match="query_word must be 0 to 6, not 7"):
        rank(ranker, query_words=True).explain().check_word(7)
