"""A ranking as a notebook's cell shows it."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from attnmass import AttentionRanker, Chunk, Trim
from tests.explain.support import CHUNKS, HOSTILE, QUERY, Page, rank


def test_every_chunk_is_a_row(ranker: AttentionRanker) -> None:
    """Kept ones in order with their numbers, dropped ones folded away with what was in them."""
    ranking = rank(ranker, [*CHUNKS, " "], top_n=2, trim=Trim(keep_ratio=0.5))
    page = Page(ranking._repr_html_())
    assert (page.unclosed, page.open) == ([], [])
    rows = [row for row in page.all("tr") if "tbody" in row["in"]]
    kept = [row for row in rows if "details" not in row["in"]]
    gone = [row for row in rows if "details" in row["in"]]
    for place, (chunk, row) in enumerate(zip(ranking.chunks, kept, strict=True), start=1):
        assert row["text"].startswith(f"{place}{chunk.index}{chunk.score:.4f}")
        assert chunk.text in row["text"]
        assert f"{len(chunk.kept_spans)} of {len(chunk.spans)}" in row["text"]
    for chunk, row in zip(ranking.dropped, gone, strict=True):
        assert (ranking.trace.chunks[chunk.index].text or "") in row["text"]  # type: ignore[union-attr]
    assert page.all("summary")[0]["text"].startswith(f"{len(gone)} chunks dropped: ")
    assert "Tokens" in page.all("p")[0]["text"]


def test_columns_are_those_that_are_known(ranker: AttentionRanker) -> None:
    """The retriever's score and spans have columns where there are any."""
    names = [
        [cell["text"] for cell in Page(ranking._repr_html_()).all("th")]
        for ranking in (
            rank(ranker),
            rank(ranker, retrieval_scores=[1, 2, 3], trim=Trim(min_keep=9)),
        )
    ]
    assert names[0] == ["rank", "index", "score", "share", "relevance", "text", ""]
    assert {"retriever", "spans kept"} <= set(names[1])


def test_nothing_in_a_chunk_gets_out(ranker: AttentionRanker) -> None:
    """Whatever query, titles and texts say is text."""
    chunks = [Chunk(text, title=text) for text in HOSTILE]
    for query in HOSTILE:
        html = ranker.rank(query, chunks, top_n=8)._repr_html_()
        page = Page(html)
        assert (page.unclosed, page.open) == ([], [])
        tags = {element["tag"] for element in page.elements}
        assert not tags & {"script", "img", "style", "iframe", "a"}
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]", html)


def test_many_chunks_are_counted(ranker: AttentionRanker) -> None:
    """Of hundreds of chunks, kept or dropped, the first twenty are shown."""
    chunks = [f"{CHUNKS[0].text} {number}" for number in range(60)]
    html = ranker.rank(QUERY, [*chunks, *[" "] * 9], top_n=30)._repr_html_()
    assert html.count("<tr><td>") == 40
    assert "and 10 more in <code>.chunks</code>" in html
    assert "and 19 more in <code>.dropped</code>" in html
    assert "and 4 more in .notes" in html


@pytest.mark.parametrize("chunks", [[], ["", " "]])
def test_nothing_to_show(ranker: AttentionRanker, chunks: list[str]) -> None:
    """No chunks, blank ones, and a ranking without attention make tables too."""
    ranking = ranker.rank(QUERY, chunks)
    for each in (ranking, replace(ranking, trace=None)):
        assert Page(each._repr_html_()).unclosed == []
