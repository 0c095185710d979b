"""The page, by parsing it."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attnmass import AttentionRanker, Chunk, Ranking, Trim
from attnmass.explain.html import _resource
from attnmass.explain.shown import shown
from tests.explain.support import CHUNKS, HOSTILE, Page, rank, unpack


def page_of(ranking: Ranking) -> Page:
    """Draw and parse."""
    return Page(ranking.explain().to_html())


def body(element: dict[str, Any], page: Page) -> str:
    """The text of an article's own text."""
    (found,) = [e for e in page.all("p", **{"class": "text"}) if e["text"] in element["text"]]
    return str(found["text"])


@pytest.fixture(scope="module")
def trimmed() -> Ranking:
    """Trimmed chunks, some kept and some not, one skipped."""
    from tests.conftest import HEADS
    from tests.tiny import tiny_model, tiny_tokenizer

    ranker = AttentionRanker(tiny_model(), tiny_tokenizer(), heads=HEADS)
    return rank(ranker, [*CHUNKS, "  "], top_n=2, trim=Trim(keep_ratio=0.5), query_words=True)


def test_page_is_whole(trimmed: Ranking) -> None:
    """Every element is closed in order, and there is one of each landmark and a heading each."""
    page = page_of(trimmed)
    assert page.unclosed == []
    assert page.open == []
    for tag in ("html", "head", "body", "header", "main", "h1", "form", "title"):
        assert len(page.all(tag)) == 1, tag
    assert page.all("html")[0]["attrs"]["lang"] == "en"
    ids = [e["attrs"]["id"] for e in page.elements if "id" in e["attrs"]]
    assert len(ids) == len(set(ids))
    labelled = page.all("section") + page.all("article")
    assert len(page.all("article")) == 4
    assert all(e["attrs"]["aria-labelledby"] in ids for e in labelled)
    levels = [int(e["tag"][1]) for e in page.elements if re.fullmatch("h[1-6]", e["tag"])]
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_nothing_comes_from_elsewhere(trimmed: Ranking) -> None:
    """No element names a source, links stay on the page, and the policy allows its own alone."""
    page = page_of(trimmed)
    targets = {e["attrs"]["id"] for e in page.elements if "id" in e["attrs"]}
    links = [e["attrs"]["href"] for e in page.all("a")]
    assert {f"#chunk-{place}" for place in range(len(trimmed.chunks))} <= set(links)
    assert {link[0] for link in links} == {"#"}
    assert {link[1:] for link in links} <= targets
    for element in page.elements:
        named = {"src", "action", "srcset", "style", "srcdoc", "data"}
        assert not named & set(element["attrs"]), element
        assert element["tag"] == "a" or "href" not in element["attrs"]
        assert not [name for name in element["attrs"] if name.startswith("on")]
    (policy,) = page.all("meta", **{"http-equiv": "Content-Security-Policy"})
    rules = dict(
        rule.strip().split(" ", 1) for rule in policy["attrs"]["content"].rstrip(";").split(";")
    )
    style = page.all("style")[0]["text"]
    script = next(e for e in page.all("script") if not e["attrs"])["text"]
    digests = {
        name: base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        for name, text in (("style", style), ("script", script))
    }
    assert rules == {
        "default-src": "'none'",
        "script-src": f"'sha256-{digests['script']}'",
        "style-src": f"'sha256-{digests['style']}'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert not re.search(r"url\(|@import|https?:", style + script)


@pytest.mark.parametrize("query_words", [False, True])
def test_hostile_text_is_text(ranker: AttentionRanker, query_words: bool) -> None:
    """Whatever a chunk, a title, what is around it or the query says is shown, and does nothing."""
    chunks = [
        Chunk(text, title=HOSTILE[i - 1], before=HOSTILE[i - 2], after=HOSTILE[i - 3])
        for i, text in enumerate(HOSTILE)
    ]
    for query in HOSTILE:
        ranking = ranker.rank(query, chunks, query_words=query_words)
        raw = ranking.explain().to_html()
        page = Page(raw)
        assert page.unclosed == []
        assert page.open == []
        scripts = page.all("script")
        assert [e["attrs"] for e in scripts] == [{"type": "application/json", "id": "data"}, {}]
        assert not page.all("img")
        assert len(page.all("style")) == 1
        assert page.all("h1")[0]["text"] == shown(query)
        raw.encode("utf-8")
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]", raw)
        for ranked, element in zip(ranking.chunks, page.all("article"), strict=True):
            assert shown(chunks[ranked.index].text) in element["text"]
            heading = page.all("h3", id=element["attrs"]["aria-labelledby"])[0]
            assert shown(chunks[ranked.index].title or "").rstrip() in heading["text"]


def test_hostile_text_is_text_when_trimmed(ranker: AttentionRanker) -> None:
    """So it is where sentences are marked."""
    ranking = rank(ranker, HOSTILE, trim=Trim(keep_ratio=0.5, on_empty="empty"))
    page = page_of(ranking)
    assert page.unclosed == []
    assert page.open == []
    assert len(page.all("script")) == 2
    shown_all = page.all("main")[0]["text"]
    for text in (
        "alert(1)",
        "<script>",
        "</script>",
        "javascript:alert(4) {{ 7 * 7 }}",
        "{% raw %}",
    ):
        assert text in shown_all


def test_words_cover_the_text_and_levels_go_with_them(trimmed: Ranking) -> None:
    """In each view there is a level for each word of the page, and the static ones are drawn."""
    page = page_of(trimmed)
    cells = [e for e in page.elements if e["tag"] in ("i", "u") and "main" in e["in"]]
    sheets = page.data["sheets"]
    for sheet in sheets.values():
        levels = unpack(sheet["levels"])
        assert len(levels) == len(cells)
        assert max(levels) == 9
        assert len(sheet["masses"]) == len(page.all("article"))
    drawn = [int(e["attrs"].get("class", "l0")[1:]) for e in cells]
    assert drawn == unpack(sheets["0.0"]["levels"])


def test_views_are_the_heads_and_the_query_words(trimmed: Ranking) -> None:
    """Each head and each word of the query can be chosen, by form controls with labels."""
    page = page_of(trimmed)
    options = [e["text"] for e in page.all("option")]
    assert options[0] == "All heads, as they rank chunks"
    for layer, head in trimmed.profile.all_heads:
        assert any(text.startswith(f"Layer {layer}, head {head} (33% of") for text in options)
    words = [e["text"] for e in page.all("label") if "fieldset" in e["in"]]
    assert words[0] == "the whole query"
    assert words[1:] == ["Who", "invented", "the", "theory", "of", "relativity", "?"]
    assert set(page.data["sheets"]) == {
        f"{view}.{word}" for view in range(len(options)) for word in range(len(words))
    }
    values = [int(e["attrs"]["value"]) for e in page.all("option")]
    labels = [view.label for view in trimmed.explain().views]
    assert [labels[value] for value in values] == options
    groups = [e["attrs"]["label"] for e in page.all("optgroup")]
    assert groups == ["Together", "One head that ranks and trims"]
    (heads,) = page.all("select")
    assert page.all("label", **{"for": heads["attrs"]["id"]})
    assert all("label" in e["in"] for e in page.all("input"))
    assert "hidden" in page.all("form")[0]["attrs"]  # until the script runs


def test_masses_of_views_are_the_rankings(trimmed: Ranking) -> None:
    """Bars show the scores; heads average to them, and so do the query's tokens."""
    page = page_of(trimmed)
    ranked = [*trimmed.chunks, *trimmed.dropped]
    sheets = page.data["sheets"]
    np.testing.assert_allclose(sheets["0.0"]["masses"], [c.score for c in ranked], atol=6e-5)
    n_heads = len(trimmed.profile.all_heads)
    by_head = [sheets[f"{view}.0"]["masses"] for view in range(1, n_heads + 1)]
    np.testing.assert_allclose(np.mean(by_head, axis=0), [c.score for c in ranked], atol=1e-4)
    outputs = [float(e["text"]) for e in page.all("output")]
    np.testing.assert_allclose(outputs, [c.score for c in ranked], atol=6e-5)


def test_kept_and_dropped_are_marked(trimmed: Ranking) -> None:
    """Marks are the kept spans, deletions the others with their reason, and together all of it."""
    page = page_of(trimmed)
    for ranked, element in zip(
        [*trimmed.chunks, *trimmed.dropped], page.all("article"), strict=True
    ):
        source = trimmed.trace.chunks[ranked.index].text  # type: ignore[union-attr]
        if ranked.skipped:
            assert "nothing to read" in element["text"]
            continue
        for span in ranked.spans:
            text = shown(source[span.start : span.end])
            marks = [e["text"] for e in page.all("mark" if span.kept else "del")]
            assert any(mark.rstrip().endswith(text) for mark in marks), text
    assert len(page.all("mark")) == sum(s.kept for c in trimmed.chunks for s in c.spans)
    gone = page.all("span", **{"class": "gone"})
    assert any("no room in keep_ratio" in e["text"] for e in gone)
    (out,) = page.all("section", **{"class": "out"})
    assert all("details" in e["in"] for e in page.all("article") if "Left out: " in e["text"])
    assert "Left out: not among the top_n" in out["text"]


def test_order_before_and_after(ranker: AttentionRanker) -> None:
    """Each chunk says its new place and where it was."""
    ranking = rank(ranker)
    page = page_of(ranking)
    for place, (ranked, element) in enumerate(
        zip(ranking.chunks, page.all("article"), strict=True), start=1
    ):
        assert f"was {ranked.index + 1}" in element["text"]
        assert element["text"].lstrip().startswith(f"{place}. ")


@pytest.mark.parametrize(
    ("threshold", "said"), [(0.0, "not below the threshold"), (1.0, "no evidence, the answer is")]
)
def test_evidence_is_said_in_words(ranker: AttentionRanker, threshold: float, said: str) -> None:
    """With its threshold, where there is one."""
    page = page_of(rank(ranker, evidence_threshold=threshold))
    assert said in page.all("header")[0]["text"]
    assert f"threshold of {threshold:.3f}" in page.all("header")[0]["text"]
    assert "no threshold was set" in page_of(rank(ranker)).all("header")[0]["text"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"top_n": 1}, "not among the top_n"),
        ({"evidence_threshold": 1.0, "on_no_evidence": "empty"}, "Left out: no evidence"),
        ({"trim": Trim(max_tokens=30, on_empty="cut")}, "no room in max_tokens"),
        ({"trim": Trim(top_p=0.3)}, "not needed for top_p"),
    ],
    ids=str,
)
def test_every_reason_is_said(ranker: AttentionRanker, options: dict[str, Any], said: str) -> None:
    """Why a chunk or a sentence is left out is on the page."""
    page = page_of(rank(ranker, **options))
    assert said in page.all("main")[0]["text"]
    for chunk in CHUNKS:
        assert chunk.text.split(". ")[-1] in page.all("main")[0]["text"]  # nothing is lost


def test_a_cut_sentence_shows_both_parts(ranker: AttentionRanker) -> None:
    """Of a sentence that was cut to fit, the beginning is kept and the rest left out."""
    text = "Albert Einstein developed the theory of relativity in words and numbers"
    ranking = rank(ranker, [text], trim=Trim(max_tokens=10, on_empty="cut"))
    (chunk,) = ranking.chunks
    page = page_of(ranking)
    assert page.all("mark")[0]["text"].endswith(chunk.text)
    assert page.all("del")[0]["text"].endswith(text[len(chunk.text) :].lstrip())
    assert "no room in max_tokens" in page.all("span", **{"class": "gone"})[0]["text"]


@pytest.mark.parametrize("trim", [None, Trim(max_tokens=50)])
def test_nothing_to_show(ranker: AttentionRanker, trim: Trim | None) -> None:
    """No chunks, and chunks without text, make pages too."""
    for chunks in ([], ["", " ", 7]):
        ranking = rank(ranker, chunks, trim=trim, query_words=True)
        page = page_of(ranking)
        assert page.unclosed == []
        assert len(page.all("article")) == len(chunks)
        assert ranking.explain().to_dict()["query_words"] == []
        if chunks:
            assert "not text" in page.all("main")[0]["text"]
        else:
            assert "0 chunks" in page.all("header")[0]["text"]


def test_notebook_cell_is_a_frame_of_its_own(trimmed: Ranking) -> None:
    """A notebook gets one sandboxed frame whose document is the page."""
    explanation = trimmed.explain()
    found = Page(explanation._repr_html_())
    (frame,) = found.elements
    assert frame["tag"] == "iframe"
    assert frame["attrs"]["sandbox"] == "allow-scripts"
    assert frame["attrs"]["srcdoc"] == explanation.to_html()
    assert "Who invented" in frame["attrs"]["title"]
    assert html.escape("<!doctype html>") in explanation._repr_html_()


def test_file_is_what_is_returned(ranker: AttentionRanker, tmp_path: Path) -> None:
    """`to_html` writes what it returns, in UTF-8, whatever is in the chunks."""
    explanation = rank(ranker, HOSTILE).explain()
    path = tmp_path / "map.html"
    assert explanation.to_html(path) == path.read_bytes().decode("utf-8")


def test_many_words_stay_small(ranker: AttentionRanker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where heads times query words are too many, single heads are for the whole query only."""
    ranking = rank(ranker, query_words=True)
    monkeypatch.setattr("attnmass.explain.menu._PAGE_BYTES", 100)
    keys = set(page_of(ranking).data["sheets"])
    assert "0.1" in keys
    assert "1.0" in keys
    assert "1.1" not in keys


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


def _contrast(one: str, other: str) -> float:
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_contrast_of_the_palette(theme: int) -> None:
    """Text has a contrast of 4.5 on every shade that it can stand on (WCAG AA)."""
    css = _resource("page.css")
    blocks = re.findall(r":root \{(.*?--d9.*?)\}", css, re.DOTALL)
    assert len(blocks) == 2
    colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", blocks[theme]))
    shades = {name: colours[name] for name in colours if re.fullmatch(r"[ld]\d", name)}
    assert len(shades) == 18
    for name, shade in shades.items():
        text = colours["ink" if name[0] == "l" else "soft"]
        assert _contrast(text, shade) >= 4.5, name
    for text in ("ink", "soft", "ok", "no"):
        assert _contrast(colours[text], colours["page"]) >= 4.5, text
    by_level = [_contrast(shades[f"l{i}"], colours["page"]) for i in range(1, 10)]
    assert by_level == sorted(by_level)  # more mass is further from the page


def test_white_space_does_not_set_the_scale(ranker: AttentionRanker) -> None:
    """The word with most mass has the darkest shade, however much a line break has."""
    ranking = rank(ranker)
    trace = ranking.trace
    assert trace is not None
    found = trace.scored[0]
    blank = [found.read[start:end].isspace() for start, end in found.offsets.tolist()]
    assert any(blank)
    masses = np.where(blank, np.float32(0.5), found.masses)
    trace = replace(trace, scored={**trace.scored, 0: replace(found, masses=masses)})
    page = page_of(replace(ranking, trace=trace))
    data = replace(ranking, trace=trace).explain().to_dict()
    words = [
        (word["mass"], chunk["read"][word["start"] : word["end"]])
        for chunk in data["chunks"]
        for word in chunk["words"]
    ]
    largest = max(mass for mass, _ in words)
    best = max(mass for mass, text in words if text.strip())
    assert best < largest == pytest.approx(0.5)
    assert float(page.data["sheets"]["0.0"]["largest"]) == pytest.approx(best, abs=6e-5)
    assert page.all("i", **{"class": "l9"})
