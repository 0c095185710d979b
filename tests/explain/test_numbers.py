"""The numbers of a page: named, told apart, and those of the ranking."""

from __future__ import annotations

from dataclasses import replace

import pytest

from attnmass import AttentionRanker, Trim
from attnmass.explain.numbers import meanings
from attnmass.explain.shown import full_support, full_words
from attnmass.results.citations import cite, ranked_passages
from tests.explain.support import CHUNKS, HOSTILE, QUERY, Page, rank


def test_bars_show_what_sorts(ranker: AttentionRanker) -> None:
    """A chunk's bar goes by its score, fused or not, and so do the places in the list."""
    for scores in (None, [9.0, 1.0, 5.0]):
        ranking = rank(ranker, retrieval_scores=scores, fuse=None if scores is None else 0.9)
        page = Page(ranking.explain().to_html())
        best = ranking.chunks[0].score
        expected = [f"{100 * chunk.score / best:.1f}" for chunk in ranking.chunks]
        fills = [e for e in page.all("rect", **{"class": "fill"}) if "article" in e["in"]]
        assert [e["attrs"]["width"] for e in fills] == expected
        listed = [e["text"] for e in page.all("b", **{"class": "number"}) if "nav" in e["in"]]
        assert listed == [f"{chunk.score:.4f}" for chunk in ranking.chunks]


def test_each_number_is_named_and_explained(ranker: AttentionRanker) -> None:
    """Every number has a sentence of its own, where it is on the page."""
    plain = rank(ranker).explain()
    assert [name for name, _ in meanings(plain)] == ["evidence", "score", "share", "mass", "was"]
    said = dict(meanings(plain))
    assert "here the share" in said["score"]
    assert "parallel" in said["mass"]
    assert "read together with the chunks" in said["mass"]
    late = dict(meanings(replace(plain, layout="late")))
    assert "has not read the chunks" in late["mass"]
    fused = rank(ranker, retrieval_scores=[3, 2, 1], fuse=0.5).explain()
    assert [name for name, _ in meanings(fused)][-2] == "retriever's score"
    assert "retriever's order together" in dict(meanings(fused))["score"]
    chunks = [
        replace(chunk, ranked=replace(chunk.ranked, relevance=0.25, logit=1.0))
        for chunk in plain.chunks
    ]
    known = replace(plain, chunks=tuple(chunks))
    assert "relevance" in dict(meanings(known))
    assert "attention" in said["evidence"]
    alone = dict(meanings(replace(known, evidence=0.25)))
    assert alone["evidence"].endswith("the relevance of the best chunk.")
    scored = [replace(chunk, ranked=replace(chunk.ranked, retrieval_score=0.5)) for chunk in chunks]
    both = dict(meanings(replace(known, chunks=tuple(scored), evidence=0.5)))
    assert "retriever's cosine" in both["evidence"]
    assert "classification head" in dict(meanings(known))["score"]
    page = Page(known.to_html())
    names = [e["text"] for e in page.all("dt")]
    assert names == [name for name, _ in meanings(known)]
    for article in page.all("article"):
        for name in ("score 0.", "relevance 0.250", "mass 0."):
            assert name in article["text"]


def test_what_is_told_of_spans_is_the_rankings(ranker: AttentionRanker) -> None:
    """Offsets, numbers as `cite` gives them, and text where the page cannot show it as it is."""
    chunks = [*CHUNKS, HOSTILE[4], HOSTILE[5]]
    ranking = rank(ranker, chunks, trim=Trim(keep_ratio=0.8))
    placed = ranking.with_places(lambda index: (f"id-{index}", 100 + index))
    told = Page(placed.explain().to_html()).data["chunks"]
    numbers: dict[int, tuple[int, int, int]] = {}
    for ranked, chunk in zip((*ranking.chunks, *ranking.dropped), told, strict=True):
        source = chunks[ranked.index] if ranked.index > 2 else CHUNKS[ranked.index].text
        assert (chunk["id"], chunk["offset"]) == (f"id-{ranked.index}", 100 + ranked.index)
        for start, end, score, *more in chunk["spans"]:
            span = next(s for s in ranked.spans if (s.start, s.end) == (start, end))
            assert score == pytest.approx(span.score, abs=6e-6)
            assert bool(more) == (span.kept and ranked.dropped is None)
            if more:
                mass, _, number, *text = more
                assert mass == pytest.approx(span.mass, abs=6e-6)
                assert text == ([source[start:end]] if ranked.index > 2 else [])
                numbers[number] = (ranked.index, start, end)
    sources = cite(ranked_passages(ranking, chunks), marker="<{n}>").sources
    indices = [chunk.index for chunk in ranking.chunks]
    assert numbers == {s.number: (indices[s.chunk], s.start, s.end) for s in sources}
    assert ranking.trace is not placed.trace
    assert replace(ranking, trace=None).with_places(lambda index: (None, 1)).trace is None


@pytest.mark.parametrize(("threshold", "full"), [(None, 1.0), (0.0, 1.0), (0.1, 0.2), (0.7, 1.0)])
def test_a_bar_of_support_is_full_at_a_fixed_support(threshold: float | None, full: float) -> None:
    """Whatever other sentences have: at twice the threshold, or at all attention."""
    assert full_support(threshold) == pytest.approx(full)
    assert ("twice" in full_words(threshold)) == (full < 1.0)


def test_support_is_not_relative_to_other_sentences(ranker: AttentionRanker) -> None:
    """The same sentence has the same bar beside one of more support."""
    widths = []
    for answer in ("Trains were slow.", "Trains were slow. Albert Einstein, a physicist."):
        found = ranker.attribute(QUERY, list(CHUNKS), answer, threshold=0.4)
        rects = Page(found.explain().to_html()).all("rect", **{"class": "fill"})
        supports = [e for e in rects if "li" in e["in"]]
        for sentence, rect in zip(found.sentences, supports, strict=True):
            share = 100 * min(1.0, sentence.support / 0.8)
            assert float(rect["attrs"]["width"]) == pytest.approx(share, abs=0.06)
            assert 0 < share < 100
        widths.append(len(supports))
    assert widths == [1, 2]
