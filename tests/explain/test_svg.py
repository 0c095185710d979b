"""The static picture: well formed, shaded as the page is, and nothing but a picture."""

from __future__ import annotations

import re
import time
import xml.etree.ElementTree as ElementTree
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from attnmass import AttentionRanker, Chunk, Ranking, Trim
from attnmass.explain.sheets import make_sheet
from attnmass.explain.svg import WIDTH
from tests.explain.support import CHUNKS, HOSTILE, QUERY, rank

SPACE = "{http://www.w3.org/2000/svg}"


def drawn(ranking: Ranking, **options: Any) -> ElementTree.Element:
    """The picture, parsed."""
    return ElementTree.fromstring(ranking.explain().to_svg(**options))


def texts(picture: ElementTree.Element) -> list[str]:
    """All that is written, in order."""
    return [element.text or "" for element in picture.iter(f"{SPACE}text")]


def test_words_are_shaded_as_on_the_page(ranker: AttentionRanker) -> None:
    """Each word of the best chunk has its level's shade, right behind it."""
    ranking = rank(ranker, top_n=1)
    explanation = ranking.explain()
    sheet = make_sheet(explanation)
    chunk = explanation.chunks[0]
    expected = [
        (chunk.read[start:end], int(level))
        for (start, end), level in zip(chunk.words.tolist(), sheet.levels[0], strict=True)
        if level
        and not chunk.read[start:end].isspace()
        and chunk.start <= start < chunk.start + len(chunk.ranked.text)
    ]
    picture = drawn(ranking)
    elements = list(picture)
    found = []
    for shade, word in pairwise(elements):
        kind = re.fullmatch(r"l(\d)", shade.get("class", ""))
        if shade.tag == f"{SPACE}rect" and kind:
            assert (shade.get("x"), shade.get("width")) == (word.get("x"), word.get("textLength"))
            found.append((word.text, int(kind[1])))
    assert found == expected
    assert texts(picture)[-1].startswith("2 left out · read by ")


def test_what_is_left_out_is_its_reason(ranker: AttentionRanker) -> None:
    """Of a trimmed chunk there is what was kept; scores and evidence are those of the ranking."""
    ranking = rank(ranker, trim=Trim(keep_ratio=0.6), evidence_threshold=0.9)
    said = texts(drawn(ranking, top_n=9))
    whole = " ".join(said)
    assert "[no room in keep_ratio]" in said
    for chunk in ranking.chunks:
        assert any(f"score {chunk.score:.4f}" in text for text in said)
        for span in chunk.spans:
            source = ranking.trace.chunks[chunk.index].text[span.start : span.end]  # type: ignore[union-attr]
            first = source.split()[0]
            assert not span.kept or first in whole
    assert any("below the threshold of 0.900" in text for text in said)
    assert all(word in said for word in QUERY.split())


def test_nothing_in_a_chunk_gets_out(ranker: AttentionRanker) -> None:
    """Whatever query, titles and texts say, it is XML without scripts, links and references."""
    chunks = [Chunk(text, title=text) for text in (*HOSTILE, "\ufffe \uffff ]]> &#0;")]
    for query in HOSTILE:
        ranking = rank(ranker, chunks) if query == HOSTILE[0] else ranker.rank(query, chunks)
        svg = ranking.explain().to_svg(top_n=99)
        picture = ElementTree.fromstring(svg)
        assert {e.tag.removeprefix(SPACE) for e in picture.iter()} == {
            *("svg", "style", "rect", "text", "line"),
        }
        names = {name for element in picture.iter() for name in element.attrib}
        assert not {name for name in names if name.startswith("on") or "href" in name}
        assert not re.search(r"url\(|@import|<!|<\?", svg)
        svg.encode("utf-8")


def test_everything_is_inside(ranker: AttentionRanker) -> None:
    """No word stands over an edge, however long it is, and long chunks end in an ellipsis."""
    chunks = [Chunk(f"{text} " * 60, title=text) for text in HOSTILE]
    picture = drawn(rank(ranker, chunks), top_n=99)
    height = float(picture.get("height", 0))
    assert float(picture.get("width", 0)) == WIDTH
    for element in picture.iter(f"{SPACE}text"):
        assert 0 < float(element.get("y", 0)) < height
        left, length = float(element.get("x", 0)), float(element.get("textLength", 0))
        assert 0 <= left <= left + length <= WIDTH
    assert "…" in texts(picture)


def test_scripts_from_right_to_left_are_mirrored(ranker: AttentionRanker) -> None:
    """The first word of such a text stands at the right, later ones left of it."""
    picture = drawn(rank(ranker, ["עברית כתובה מימין לשמאל"]))
    places = {e.text: float(e.get("x", 0)) for e in picture.iter(f"{SPACE}text")}
    words = ["עברית", "כתובה", "מימין", "לשמאל"]
    found = [places[word] for word in words]
    assert found == sorted(found, reverse=True)
    assert found[0] > WIDTH / 2


def test_how_many_chunks(ranker: AttentionRanker, tmp_path: Path) -> None:
    """`top_n` bounds them, the foot counts the rest, a file has the same, and none make one."""
    explanation = rank(ranker).explain()
    path = tmp_path / "map.svg"
    assert explanation.to_svg(path, top_n=2) == path.read_bytes().decode("utf-8")
    for top_n in (1, 2, 9):
        titles = [
            e
            for e in ElementTree.fromstring(explanation.to_svg(top_n=top_n)).iter(f"{SPACE}text")
            if e.get("class") == "title"
        ]
        assert len(titles) == min(top_n, len(CHUNKS))
    foot = texts(ElementTree.fromstring(explanation.to_svg(top_n=1)))[-1]
    assert foot.startswith(f"and {len(CHUNKS) - 1} more chunks · ")
    foot = texts(drawn(rank(ranker, top_n=2), top_n=1))[-1]
    assert foot.startswith(f"and 1 more chunk, {len(CHUNKS) - 2} left out · ")
    none = rank(ranker, evidence_threshold=1.0, on_no_evidence="empty")
    assert texts(drawn(none))[-1].startswith(f"no chunk was kept, {len(CHUNKS)} left out · ")
    with pytest.raises(ValueError, match="top_n must be at least 1, not 0"):
        explanation.to_svg(top_n=0)
    for chunks in ([], ["", " "]):
        assert drawn(rank(ranker, chunks)).tag == f"{SPACE}svg"


def test_what_xml_cannot_hold_is_in_no_label(ranker: AttentionRanker) -> None:
    """A noncharacter in the query, which the label has whole, is a sign there, too."""
    picture = ElementTree.fromstring(ranker.rank("Who \uffff is \ufffe?", ["a"]).explain().to_svg())
    assert picture.get("aria-label", "").endswith("Who \ufffd is \ufffd?")


@pytest.mark.parametrize("letter", ["x", "i", "\u0301", "\u76f8"])
def test_a_very_long_title_is_cut_in_one_pass(ranker: AttentionRanker, letter: str) -> None:
    """A title of 100,000 letters takes its share of the time, and an ellipsis where it is cut."""
    ranking = ranker.rank(QUERY, [Chunk("One is here.", title=letter * 100_000)])
    started = time.process_time()
    picture = ranking.explain().to_svg()
    assert time.process_time() - started < 10  # cut letter by letter it was an hour
    (title,) = [each for each in ElementTree.fromstring(picture) if each.get("class") == "title"]
    assert (title.text or "").startswith(f"1. {letter}")
    assert (title.text or "").endswith("\u2026") == (letter != "\u0301")
