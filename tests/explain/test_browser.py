"""The page in headless Chromium: Debian's `chromium`, driven by playwright's Python package."""

from __future__ import annotations

import random
from collections.abc import Callable
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
    tab.get_by_text("all of them").click()
    assert levels(tab) == before
    assert tab.locator("output").all_inner_texts() == masses
    assert tab.locator(".top").first.inner_text() == top
    tab.get_by_text("Show what was left out").click()
    assert not tab.locator("del").first.is_visible()
    assert tab.locator("mark").first.is_visible()
    tab.get_by_text("Show what was left out").click()
    assert tab.locator("del").first.is_visible()


def test_toggles_by_keyboard(show: Callable[..., Any], trimmed: Ranking) -> None:
    """Tab reaches each control, in order and visibly; arrows and space work them."""
    tab = show(trimmed)
    before = levels(tab)

    def focused() -> str:
        return str(tab.evaluate("document.activeElement.id || document.activeElement.name"))

    tab.keyboard.press("Tab")
    assert focused() == "heads"
    tab.keyboard.press("ArrowDown")
    by_head = levels(tab)
    assert by_head != before
    tab.keyboard.press("Tab")
    assert focused() == "word"
    ring = "getComputedStyle(document.activeElement.nextElementSibling).outlineStyle"
    assert tab.evaluate(ring) == "solid"
    tab.keyboard.press("ArrowRight")
    assert "“Who”" in tab.locator("#status").inner_text()
    assert levels(tab) != by_head
    tab.keyboard.press("Tab")
    assert focused() == "out"
    tab.keyboard.press("Space")
    assert not tab.locator("del").first.is_visible()


def test_shades_are_those_of_each_view(show: Callable[..., Any], trimmed: Ranking) -> None:
    """What the script draws are the levels that were worked out for each head and query word."""
    from attnmass.explain.sheets import make_sheet

    tab = show(trimmed)
    explanation = trimmed.explain()
    for view in range(len(explanation.views)):
        tab.select_option("#heads", index=view)
        for word in (None, 1, 5):
            tab.check(f"#words input[value='{0 if word is None else word + 1}']", force=True)
            sheet = make_sheet(explanation, view, word)
            assert levels(tab) == [f"l{level}" for each in sheet.levels for level in each]
            shown = [float(text) for text in tab.locator("output").all_inner_texts()]
            assert shown == pytest.approx(sheet.masses, abs=6e-5)


def test_words_that_a_page_does_not_have(
    show: Callable[..., Any], trimmed: Ranking, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where single heads are not told by query word, those cannot be chosen, and nothing fails."""
    monkeypatch.setattr("attnmass.explain.html._MOST_LEVELS", 100)
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


def test_screen_reader_gets_names(show: Callable[..., Any], trimmed: Ranking) -> None:
    """Landmarks, headings and controls have roles and names."""
    tree = show(trimmed).locator("body").aria_snapshot()
    for line in (
        "- banner:",
        f'heading "{QUERY}" [level=1]',
        'form "What is shown"',
        'combobox "Heads"',
        'group "From the query’s word"',
        'radio "all of them" [checked]',
        'radio "relativity"',
        'checkbox "Show what was left out" [checked]',
        "- main:",
        'region "Overview"',
        "- status:",
        'region "Left out"',
        'heading "1. ',
        "kept by its score:",
    ):
        assert line in tree, line
    assert tree.count("- article ") == 4


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
