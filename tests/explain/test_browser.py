"""The page in headless Chromium: Debian's `chromium`, driven by playwright's Python package."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from attnmass import AttentionRanker, Chunk, Ranking, Trim
from tests.explain.conftest import CHROMIUM
from tests.explain.contrast import CONTRASTS
from tests.explain.support import CHUNKS, HOSTILE, QUERY, rank

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.enable_socket,  # playwright talks to its driver; the pages have no network
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium"),
]


@pytest.fixture
def longer(ranker: AttentionRanker) -> Ranking:
    """Several kept chunks, of each of which some is left out, and one that is left out."""
    chunks = [
        Chunk(f"{CHUNKS[0].text} The trains are {n}. {CHUNKS[2].text}", title=f"Number {n}")
        for n in range(4)
    ]
    trim = Trim(keep_ratio=0.6, must_keep=["trains are"])
    return rank(ranker, [*chunks, " "], top_n=3, trim=trim, query_words=True)


@pytest.fixture
def trimmed(ranker: AttentionRanker) -> Ranking:
    """Kept and left-out sentences and chunks."""
    return rank(ranker, [*CHUNKS, " "], top_n=2, trim=Trim(keep_ratio=0.5), query_words=True)


def levels(tab: Any) -> list[str]:
    """The classes of all words."""
    found = tab.eval_on_selector_all("main i, main u", "all => all.map(e => e.className || 'l0')")
    return list(found)


def test_toggles_by_mouse(show: Callable[..., Any], trimmed: Ranking) -> None:
    """Heads and query words change shades, bars and what is said; back again is as before."""
    tab = show(trimmed)
    assert tab.locator("form").is_visible()
    before, masses = levels(tab), tab.locator("output").all_inner_texts()
    top = tab.locator(".top").first.inner_text()
    label = trimmed.explain().views[2].label
    tab.select_option("#heads", label=label)
    assert levels(tab) != before
    assert label in tab.locator("#status").inner_text()
    by_head = levels(tab)
    tab.get_by_text("relativity", exact=True).first.click()
    assert levels(tab) not in (before, by_head)
    assert "“relativity”" in tab.locator("#status").inner_text()
    assert tab.locator("output").all_inner_texts() != masses
    tab.select_option("#heads", index=0)
    tab.get_by_text("the whole query", exact=True).click()
    assert levels(tab) == before
    assert tab.locator("output").all_inner_texts() == masses
    assert tab.locator(".top").first.inner_text() == top


def test_what_was_left_out_is_folded_away(show: Callable[..., Any], longer: Ranking) -> None:
    """Its reason stands there, which opens it; one control opens all, chunks too, and closes it."""
    tab = show(longer)
    gaps, gone = tab.locator("button.gap"), tab.locator(".gone:has(.gap) del")
    assert gaps.count() == tab.locator("main .gone > .gap").count() > 1
    assert not gone.first.is_visible()
    assert tab.locator("mark").first.is_visible()
    gaps.first.click()
    assert gaps.first.get_attribute("aria-expanded") == "true"
    assert tab.locator(".gone:has(.gap)").first.locator("del").first.is_visible()
    gaps.first.click()
    assert not gone.first.is_visible()
    assert not tab.locator(".out article").first.is_visible()
    tab.get_by_text("Show what was left out").click()
    assert gone.first.is_visible()
    assert tab.locator(".out article").first.is_visible()
    tab.get_by_text("Show what was left out").click()
    assert not gone.first.is_visible()
    assert not tab.locator(".out article").first.is_visible()
    tab.locator(".ranked a", has_text="Left out").click()
    assert tab.locator(".out article").first.is_visible()
    assert tab.evaluate("document.activeElement.tagName") == "SUMMARY"


def test_the_list_leads_to_chunks(show: Callable[..., Any], longer: Ranking) -> None:
    """It has each kept chunk with its score, in order, and a bar of it; links lead to chunks."""
    tab = show(longer, viewport={"width": 1280, "height": 400})
    scores = tab.locator(".ranked li .number").all_inner_texts()
    assert scores == [f"{chunk.score:.4f}" for chunk in longer.chunks]
    widths = tab.eval_on_selector_all(
        ".ranked .fill", "all => all.map(e => Number(e.getAttribute('width')))"
    )
    best = max(longer.scores)
    shares = [100 * chunk.score / best for chunk in longer.chunks]
    assert widths == pytest.approx(shares, abs=0.06)
    assert widths == sorted(widths, reverse=True)
    tab.select_option("#heads", index=2)  # what is shaded changes, what sorts does not
    bars = ".ranked .fill, article .score .fill"
    again = tab.eval_on_selector_all(bars, "all => all.map(e => Number(e.getAttribute('width')))")
    assert again[: len(widths)] == widths == again[len(widths) : 2 * len(widths)]
    tab.locator(".ranked a").nth(1).click()
    assert tab.evaluate("document.activeElement.id") == "chunk-1"
    assert tab.locator("#chunk-1").bounding_box()["y"] < 200


def test_spans_are_copied_as_json(browser: Any, ranker: AttentionRanker, tmp_path: Path) -> None:
    """The clipboard has the kept spans, verbatim, with offsets, numbers and places in documents."""
    chunks = [*CHUNKS, HOSTILE[1] + ". " + HOSTILE[6]]
    ranking = rank(ranker, chunks, trim=Trim(keep_ratio=0.7))
    ranking = ranking.with_places(lambda index: (f"id-{index}", 1000 * index))
    path = tmp_path / "page.html"
    ranking.explain().to_html(path)
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    tab = context.new_page()
    tab.goto(path.as_uri())
    tab.get_by_role("button", name="Copy spans as JSON").click()
    tab.wait_for_function("document.getElementById('copied').textContent")
    assert tab.locator("#copied").inner_text() == "copied"
    copied = json.loads(tab.evaluate("navigator.clipboard.readText()"))
    context.close()
    assert copied["query"] == QUERY
    assert [chunk["index"] for chunk in copied["chunks"]] == [c.index for c in ranking.chunks]
    number = 0
    for chunk, told in zip(ranking.chunks, copied["chunks"], strict=True):
        source = ranking.trace.chunks[chunk.index].text  # type: ignore[union-attr]
        assert told["id"] == f"id-{chunk.index}"
        assert told["score"] == pytest.approx(chunk.score, abs=6e-6)
        for span, each in zip(chunk.kept_spans, told["spans"], strict=True):
            number += 1
            assert (each["start"], each["end"], each["number"]) == (span.start, span.end, number)
            assert each["text"] == source[span.start : span.end]
            assert each["doc_start"] == 1000 * chunk.index + span.start


def test_a_frame_copies_without_the_clipboard(show: Callable[..., Any], trimmed: Ranking) -> None:
    """In a notebook's frame, which may not use the clipboard, it says how it went all the same."""
    tab = show("<!doctype html><title>cell</title>" + trimmed.explain()._repr_html_())
    frame = tab.frame_locator("iframe")
    frame.get_by_role("button", name="Copy spans as JSON").click()
    frame.locator("#copied:not(:empty)").wait_for(state="attached")
    assert frame.locator("#copied").inner_text() in (
        "copied",
        "the browser does not let this page copy",
    )


@pytest.mark.parametrize("size", [(390, 844), (1280, 800), (1920, 1080)])
def test_the_first_screen(
    show: Callable[..., Any], ranker: AttentionRanker, size: tuple[int, int]
) -> None:
    """What ranked is on it, and the first shaded word is above 300 pixels, whatever the width."""
    texts = [Chunk(f"{CHUNKS[n % 3].text} {n}", title=f"Number {n}") for n in range(50)]
    ranking = rank(
        ranker, texts, top_n=12, evidence_threshold=1.0, trim=Trim(keep_ratio=0.5), query_words=True
    )
    tab = show(ranking, viewport={"width": size[0], "height": size[1]})
    listed = tab.locator(".ranked ol").bounding_box()
    assert listed["y"] + listed["height"] < size[1]
    shaded = "main :is(i, u)[class]:not(.l0)"
    first = tab.locator(shaded).first.bounding_box()
    assert first["y"] < 300
    assert tab.evaluate("document.documentElement.scrollWidth") == size[0]


# What is cut at its right or its bottom though nothing scrolls there, and what lies over the edge.
CUT = """() => {
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    if (!element.checkVisibility() || element.closest(".sr, script, form, ol")) continue;
    const style = getComputedStyle(element);
    const hidden = style.overflowX !== "visible" || style.overflowY !== "visible";
    const tall = element.scrollHeight > element.clientHeight + 1;
    const wide = element.scrollWidth > element.clientWidth + 1;
    const outside = element.getBoundingClientRect().right > innerWidth + 1;
    if ((hidden && (tall || wide)) || outside) found.push(element.outerHTML.slice(0, 80));
  }
  return found;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280, 1920])
def test_nothing_is_cut(
    show: Callable[..., Any], ranker: AttentionRanker, width: int, scheme: str
) -> None:
    """All that is said of the query stands above what is chosen, line by line where it is long."""
    texts = [Chunk(f"{CHUNKS[n % 3].text} {n}", title=f"Number {n}") for n in range(12)]
    ranking = rank(
        ranker, texts, evidence_threshold=1.0, trim=Trim(keep_ratio=0.5), query_words=True
    )
    for drawn in (ranking, ranker.attribute(QUERY, texts, "Einstein did. Trains run.")):
        tab = show(drawn, viewport={"width": width, "height": 844}, color_scheme=scheme)
        assert tab.evaluate(CUT) == []
        boxes = [
            part.bounding_box()
            for part in tab.locator("header h1, header p, header .measure, #look").all()
            if not part.evaluate("e => e.parentElement.className.startsWith('measure')")
        ]
        for above, below in pairwise(boxes):
            assert above["y"] + above["height"] <= below["y"] + 1


def test_toggles_by_keyboard(show: Callable[..., Any], trimmed: Ranking) -> None:
    """Tab reaches each control, in order and visibly; arrows and space work them."""
    tab = show(trimmed)
    before = levels(tab)

    def focused() -> str:
        return str(tab.evaluate("document.activeElement.id || document.activeElement.name"))

    tab.keyboard.press("Tab")
    assert focused() == "word"
    ring = "getComputedStyle(document.activeElement.nextElementSibling).outlineStyle"
    assert tab.evaluate(ring) == "solid"
    tab.keyboard.press("ArrowRight")
    assert "“Who”" in tab.locator("#status").inner_text()
    by_word = levels(tab)
    assert by_word != before
    tab.keyboard.press("Tab")
    assert focused() == "heads"
    tab.keyboard.press("ArrowDown")
    assert levels(tab) != by_word
    tab.keyboard.press("Tab")
    assert focused() == "out"
    tab.keyboard.press("Space")
    assert tab.locator("del").first.is_visible()
    tab.keyboard.press("Space")
    tab.keyboard.press("Tab")
    assert focused() == "copy"
    tab.locator(".ranked a").last.focus()
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.className") == "no gap"
    assert tab.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    tab.keyboard.press("Enter")
    assert tab.evaluate("document.activeElement.getAttribute('aria-expanded')") == "true"


def test_shades_are_those_of_each_view(show: Callable[..., Any], trimmed: Ranking) -> None:
    """What the script draws are the levels that were worked out for each head and query word."""
    from attnmass.explain.menu import choices
    from attnmass.explain.sheets import make_sheet

    tab = show(trimmed)
    explanation = trimmed.explain()
    for view in range(len(explanation.views)):
        tab.select_option("#heads", value=str(view))
        for word in (None, 1, 5):
            tab.check(f"#words input[value='{0 if word is None else word + 1}']", force=True)
            sheet = make_sheet(explanation, view, word)
            drawn = choices(explanation, len(explanation.query_words)).drawn
            pairs = zip(sheet.levels, drawn, strict=True)
            assert levels(tab) == [f"l{level}" for each, mask in pairs for level in each[mask]]
            shown = [float(text) for text in tab.locator("output").all_text_contents()]
            assert shown == pytest.approx(sheet.masses, abs=6e-5)


def test_words_that_a_page_does_not_have(
    show: Callable[..., Any], trimmed: Ranking, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where single heads are not told by query word, those cannot be chosen, and nothing fails."""
    monkeypatch.setattr("attnmass.explain.menu._PAGE_BYTES", 100)
    tab = show(trimmed)
    tab.get_by_text("relativity", exact=True).first.click()
    tab.select_option("#heads", index=1)
    assert tab.locator("#words input[value='0']").is_checked()
    assert tab.locator("#words input[value='2']").is_disabled()
    tab.select_option("#heads", index=0)
    assert tab.locator("#words input[value='2']").is_enabled()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("media", ["screen", "print"])
def test_contrast(
    show: Callable[..., Any], ranker: AttentionRanker, scheme: str, media: str
) -> None:
    """All text has a contrast of 4.5 with what is behind it, on every shade, kept or not."""
    words = " ".join(f"trains{i}" for i in range(40))
    chunks = [Chunk(f"{words}. Then {words}.", title=words, before=f"{words}\n")] * 3
    ranking = rank(ranker, [*chunks, " "], trim=Trim(keep_ratio=0.4), query_words=True)
    tab = show(ranking, color_scheme=scheme)
    tab.emulate_media(media=media, color_scheme=scheme)
    tab.evaluate("document.getElementById('out').click()")  # on paper there are no controls
    # Every level on every kind of text.
    tab.evaluate(
        "document.querySelectorAll('main i').forEach((e, n) => { e.className = 'l' + n % 10; })"
    )
    found = tab.evaluate(CONTRASTS)
    for kind in ("MARK", "DEL", "H3", "P"):
        assert {f"I.l{level} in {kind}" for level in range(1, 10)} <= set(found)
    assert {key: ratio for key, ratio in found.items() if ratio < 4.5} == {}
    ground = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    is_dark = scheme == "dark" and media == "screen"
    assert ground == ("rgb(20, 23, 26)" if is_dark else "rgb(255, 255, 255)")


def test_hostile_chunks(show: Callable[..., Any], ranker: AttentionRanker) -> None:
    """Nothing in a chunk runs, asks for anything, or hides the page."""
    chunks = [Chunk(text, title=text, before=text, after=text) for text in HOSTILE]
    for query in HOSTILE:
        tab = show(ranker.rank(query, chunks, query_words=True))
        assert tab.locator("h1").is_visible()
        assert tab.locator("article").count() == len(HOSTILE)
        tab.select_option("#heads", index=1)
        assert "Layer" in tab.locator("#status").inner_text()


def test_policy_stops_what_is_not_the_pages(browser: Any, trimmed: Ranking) -> None:
    """Were markup to get in all the same, its script would not run."""
    html = trimmed.explain().to_html()
    evil = (
        "<main><img src=x onerror=\"document.title='evil'\"><script>document.title='evil'</script>"
    )
    tab = browser.new_page()
    tab.set_content(html.replace("<main>", evil))
    tab.select_option("#heads", index=1)  # the page's own runs
    assert "Layer" in tab.locator("#status").inner_text()
    assert tab.title() != "evil"
    tab.close()


def test_without_scripts(show: Callable[..., Any], trimmed: Ranking) -> None:
    """The page shows all heads together, and no control that would do nothing."""
    tab = show(trimmed, java_script_enabled=False)
    assert not tab.locator("form").is_visible()
    assert tab.locator("noscript p").is_visible()
    assert tab.locator("main .l9").count() > 0
    assert tab.locator("mark").first.is_visible()


def test_in_a_notebooks_frame(show: Callable[..., Any], trimmed: Ranking) -> None:
    """In the sandboxed frame of a cell the toggles work as well."""
    tab = show("<!doctype html><title>cell</title>" + trimmed.explain()._repr_html_())
    frame = tab.frame_locator("iframe")
    frame.locator("#heads").select_option(index=1)
    assert "Layer" in frame.locator("#status").inner_text()


def test_narrow(show: Callable[..., Any], ranker: AttentionRanker) -> None:
    """On 320 pixels, with words longer than that, nothing is wider than the window."""
    tab = show(
        rank(ranker, [*CHUNKS, *HOSTILE], query_words=True),
        viewport={"width": 320, "height": 700},
    )
    assert tab.evaluate("document.documentElement.scrollWidth") == 320


def test_screen_reader_gets_names(show: Callable[..., Any], longer: Ranking) -> None:
    """Landmarks, headings and controls have roles and names."""
    tab = show(longer)
    tree = tab.locator("body").aria_snapshot()
    for line in (
        "- banner:",
        f'heading "{QUERY}" [level=1]',
        'form "What is shown"',
        'combobox "Heads"',
        'group "From"',
        'radio "the whole query" [checked]',
        'radio "relativity"',
        'checkbox "Show what was left out"',
        'button "Copy spans as JSON"',
        'navigation "What ranked"',
        'list "What ranked"',
        "- main:",
        'region "Kept chunks, in their new order"',
        'complementary "How to read it"',
        "- status:",
        'region "Left out: 2"',
        'heading "1. ',
        "kept by its score:",
        'button "✗ ',
    ):
        assert line in tree, line
    assert tree.count("- article ") == 3
    tab.get_by_text("Show what was left out").click()
    assert tab.locator("body").aria_snapshot().count("- article ") == 5


def test_200_chunks_open_in_two_seconds(show: Callable[..., Any]) -> None:
    """A page of 200 chunks of 150 words is there, drawn and ready, in less than two seconds."""
    from tests.conftest import HEADS
    from tests.tiny import tiny_model, tiny_tokenizer

    draw = random.Random(0)
    words = "river city trains books music words numbers theory of the a relativity physicist"
    chunks = [" ".join(draw.choices(words.split(), k=150)) for _ in range(200)]
    ranker = AttentionRanker(tiny_model(), tiny_tokenizer(), heads=HEADS)
    ranking = ranker.rank(QUERY, chunks, trim=Trim(keep_ratio=0.5), query_words=True)
    html = ranking.explain().to_html()
    tab = show(html)
    taken = tab.evaluate(
        "() => new Promise((done) => requestAnimationFrame(() => setTimeout(() => done("
        "performance.now()))))"
    )
    assert tab.locator("article").count() == 200
    assert taken < 2000
    started = tab.evaluate("performance.now()")
    tab.select_option("#heads", index=1)
    assert tab.evaluate("performance.now()") - started < 2000
