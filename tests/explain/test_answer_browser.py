"""The page of an attribution in headless Chromium."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from attnmass import AttentionRanker, Chunk
from attnmass.results.attribution import Attribution
from tests.explain.conftest import CHROMIUM
from tests.explain.contrast import CONTRASTS
from tests.explain.support import CHUNKS, HOSTILE, QUERY

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.enable_socket,  # playwright talks to its driver; the pages have no network
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium"),
]

ANSWER = "Albert Einstein developed it. That was in 1905. Trains were slow."


@pytest.fixture
def found(ranker: AttentionRanker) -> Attribution:
    """Three sentences, of which one or two have too little support."""
    chunks = [*CHUNKS, " "]
    supports = sorted(s.support for s in ranker.attribute(QUERY, chunks, ANSWER).sentences)
    threshold = (supports[0] + supports[1]) / 2
    return ranker.attribute(QUERY, chunks, ANSWER, threshold=threshold, top_spans=2)


def marked(tab: Any) -> set[str]:
    """Ids of the spans that are drawn as the chosen sentence's."""
    outlined = "all => all.filter(e => getComputedStyle(e).outlineStyle === 'solid').map(e => e.id)"
    return set(tab.eval_on_selector_all("mark.cited", outlined))


def ids(found: Attribution, number: int) -> set[str]:
    """Of the spans of a sentence, on the page."""
    return {f"span-{span.chunk}-{span.start}" for span in found.sentences[number].spans}


def levels(tab: Any) -> list[str]:
    """The classes of all words."""
    classes = "all => all.map(e => e.className || 'l0')"
    return list(tab.eval_on_selector_all("main i, main u", classes))


def test_a_sentence_is_chosen_by_mouse(show: Callable[..., Any], found: Attribution) -> None:
    """Its spans are marked, its list alone is there, shades and bars are its own; and back."""
    from attnmass.explain.menu import choices
    from attnmass.explain.sheets import make_sheet

    tab = show(found)
    before = levels(tab)
    assert marked(tab) == set()
    assert tab.locator(".spans:visible").count() == 3
    for number in range(3):
        tab.locator("#words label").nth(number + 1).click()
        assert marked(tab) == ids(found, number)
        assert tab.locator(".spans:visible").count() == 1
        assert tab.locator(".answer > li.on .spans").is_visible()
        status = tab.locator("#status").inner_text()
        assert f"sentence {number + 1} of the answer" in status
        assert ("unsupported" in status) == (found.sentences[number].supported is False)
        sheet = make_sheet(found.explain(), 0, number)
        drawn = choices(found.explain(), 3).drawn
        pairs = zip(sheet.levels, drawn, strict=True)
        assert levels(tab) == [f"l{level}" for each, mask in pairs for level in each[mask]]
        masses = [float(text) for text in tab.locator("output").all_inner_texts()]
        assert masses == pytest.approx(sheet.masses, abs=6e-5)
    tab.select_option("#heads", index=1)
    assert marked(tab) == ids(found, 2)
    tab.select_option("#heads", index=0)
    tab.get_by_text("all of them").click()
    assert levels(tab) == before
    assert marked(tab) == set()
    assert tab.locator(".spans:visible").count() == 3


def test_a_sentence_is_chosen_by_keyboard(show: Callable[..., Any], found: Attribution) -> None:
    """Tab reaches heads, sentences and the links to spans; arrows choose, enter follows."""
    tab = show(found)
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.name") == "word"
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("ArrowRight")
    assert marked(tab) == ids(found, 1)
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.id") == "heads"
    tab.keyboard.press("Tab")
    link = tab.evaluate("document.activeElement.getAttribute('href')")
    assert link[1:] in ids(found, 1)
    assert tab.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    tab.keyboard.press("Enter")
    assert tab.evaluate("document.activeElement.id") == link[1:]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("media", ["screen", "print"])
def test_contrast(show: Callable[..., Any], found: Attribution, scheme: str, media: str) -> None:
    """All text has a contrast of 4.5 with what is behind it, whatever sentence is chosen."""
    tab = show(found, color_scheme=scheme)
    tab.locator("main a").first.click()
    for number in range(4):
        tab.emulate_media(media="screen", color_scheme=scheme)
        tab.check(f"#words input[value='{number}']", force=True)
        tab.evaluate(
            "document.querySelectorAll('main i').forEach((e, n) => e.className = 'l' + n % 10)"
        )
        tab.emulate_media(media=media, color_scheme=scheme)
        contrasts = tab.evaluate(CONTRASTS)
        assert {"A. in LI", "I.l9 in MARK"} <= set(contrasts)
        assert {key: ratio for key, ratio in contrasts.items() if ratio < 4.5} == {}


def test_print_has_all_sentences(show: Callable[..., Any], found: Attribution) -> None:
    """On paper there are no controls, and every sentence with its spans."""
    tab = show(found)
    tab.emulate_media(media="print")
    assert not tab.locator("form").is_visible()
    assert tab.locator(".spans:visible").count() == 3


def test_without_scripts(show: Callable[..., Any], found: Attribution) -> None:
    """All sentences are told with their spans, links work, and no control would do nothing."""
    tab = show(found, java_script_enabled=False)
    assert not tab.locator("form").is_visible()
    assert tab.locator("noscript p").is_visible()
    assert tab.locator(".spans:visible").count() == 3
    assert tab.locator(".answer b.no").count() == len(found.unsupported)
    tab.locator("main a").first.click()
    assert tab.locator("mark:target").is_visible()


def test_hostile_answers(show: Callable[..., Any], ranker: AttentionRanker) -> None:
    """Nothing in query, answer or chunks runs, asks for anything, or hides the page."""
    chunks = [Chunk(text, title=text, before=text, after=text) for text in HOSTILE]
    for i, query in enumerate(HOSTILE):
        tab = show(ranker.attribute(query, chunks, HOSTILE[i - 1], threshold=0.5))
        assert tab.locator("h1").is_visible()
        assert tab.locator("article").count() == len(HOSTILE)
        tab.locator("#words label").nth(1).click()
        assert "sentence 1 of the answer" in tab.locator("#status").inner_text()


def test_in_a_notebooks_frame(show: Callable[..., Any], found: Attribution) -> None:
    """In the sandboxed frame of a cell sentences are chosen and links lead to spans as well."""
    tab = show("<!doctype html><title>cell</title>" + found.explain()._repr_html_())
    frame = tab.frame_locator("iframe")
    frame.locator("#words label").nth(2).click()
    assert "sentence 2 of the answer" in frame.locator("#status").inner_text()
    frame.locator(".spans:visible a").first.click()
    assert frame.locator("mark:focus").count() == 1
    assert frame.locator("h1").inner_text() == QUERY


def test_narrow(show: Callable[..., Any], ranker: AttentionRanker) -> None:
    """On 320 pixels, with words longer than that, nothing is wider than the window."""
    answer = f"{'x' * 500}. {ANSWER}"
    found = ranker.attribute(QUERY, [*CHUNKS, *HOSTILE], answer, top_spans=4)
    tab = show(found, viewport={"width": 320, "height": 700})
    assert tab.evaluate("document.documentElement.scrollWidth") == 320


def test_screen_reader_gets_names(show: Callable[..., Any], found: Attribution) -> None:
    """Landmarks, headings, lists and controls have roles and names."""
    tree = show(found).locator("body").aria_snapshot()
    for line in (
        "- banner:",
        f'heading "{QUERY}" [level=1]',
        'form "What is shown"',
        'group "From the answer’s sentence"',
        'radio "all of them" [checked]',
        'radio "1',
        "unsupported",
        'region "The answer"',
        'list "Spans that sentence 1 looked at"',
        "link ",
        "- status:",
        "looked at by sentence",
    ):
        assert line in tree, line
    assert tree.count("- article ") == 4
