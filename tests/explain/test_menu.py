"""What can be chosen on a page, and how it holds that."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from attnmass import AttentionRanker, Trim
from attnmass.explain import menu
from attnmass.explain.menu import HEADS_OF_A_KIND, choices, pack
from attnmass.profiles import HeadProfile, SpanRule
from tests.conftest import HEADS
from tests.explain.support import CHUNKS, QUERY, Page, rank, unpack
from tests.explain.test_large import synthetic
from tests.tiny import tiny_model, tiny_tokenizer


def test_a_menu_is_no_list_of_all_heads() -> None:
    """Of each kind the heaviest heads stand in it, and the page says how many more there are."""
    explanation = synthetic(2).explain()
    weights = tuple(float(n) for n in range(36))
    views = [replace(explanation.views[0], weights=weights), *explanation.views[1:]]
    found = choices(replace(explanation, views=tuple(views)), 0)
    together, alone = found.groups
    assert [index for index, _ in together[1]] == [0]
    assert [index for index, _ in alone[1]] == [36, 35, 34, 33]
    assert found.n_left_out == 36 - HEADS_OF_A_KIND
    text = Page(explanation.to_html()).all("aside")[0]["text"]
    assert "32 more heads can be drawn in a terminal" in text


@pytest.mark.parametrize("trim", [None, Trim(keep_ratio=0.5)])
def test_heads_stand_under_what_they_are_for(trim: Trim | None) -> None:
    """Those that rank, those that trim, both, and neither have groups of their own."""
    first, second, third = HEADS
    profile = HeadProfile(
        "tiny",
        "parallel",
        (first, second),
        (0.5, 0.5),
        spans=SpanRule((second, third), (0.5, 0.5)),
        context=((0, 0),),
    )
    ranker = AttentionRanker(tiny_model(), tiny_tokenizer(), profile=profile)
    explanation = rank(ranker, trim=trim).explain()
    groups = {
        name: [label.partition(" (")[0] for _, label in views]
        for name, views in choices(explanation, 0).groups
    }
    name = "Layer {}, head {}".format
    both = {
        "One head that ranks": [name(*first)],
        "One head that ranks and trims": [name(*second)],
    }
    only_ranked = {"One head that ranks": [name(*first), name(*second)]}
    expected = {
        "Together": ["All heads, as they rank chunks"],
        **(only_ranked if trim is None else both),
        "One head that trims": [name(*third)],
        "One head that does neither": [name(0, 0)],
    }
    if trim is not None:
        expected["Together"].append("All heads, as they score sentences")
    assert groups == expected


def test_words_of_the_query_are_always_there_for_ranking(
    ranker: AttentionRanker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However large the page; single heads have them where there is room."""
    explanation = rank(ranker, query_words=True).explain()
    n_words = len(explanation.query_words)
    every = set(choices(explanation, n_words).sheets)
    monkeypatch.setattr(menu, "_PAGE_BYTES", 0)
    some = set(choices(explanation, n_words).sheets)
    assert {f"0.{word}" for word in range(n_words + 1)} <= some < every
    assert {key for key in some if not key.startswith("0.")} == {"1.0", "2.0", "3.0"}


def test_words_that_no_view_shades_have_no_element() -> None:
    """A page has elements for the others alone, and levels for just those."""
    ranker = AttentionRanker(tiny_model(), tiny_tokenizer(), heads=HEADS)
    ranking = ranker.rank(QUERY, [CHUNKS[0], CHUNKS[2]])
    trace = ranking.trace
    assert trace is not None
    masses = np.where(np.arange(trace.scored[0].masses.shape[1]) % 2, 0, trace.scored[0].masses)
    scored = {**trace.scored, 0: replace(trace.scored[0], masses=masses.astype(np.float32))}
    explanation = replace(ranking, trace=replace(trace, scored=scored)).explain()
    found = choices(explanation, 0)
    page = Page(explanation.to_html())
    cells = [e for e in page.elements if e["tag"] in ("i", "u") and "main" in e["in"]]
    n_words = sum(len(chunk.words) for chunk in explanation.chunks)
    assert len(cells) == sum(int(mask.sum()) for mask in found.drawn) < n_words
    for key, sheet in found.sheets.items():
        levels = unpack(page.data["sheets"][key]["levels"])
        assert len(levels) == len(cells)
        assert sum(levels) == sum(int(each.sum()) for each in sheet.levels)


@pytest.mark.parametrize("zeros", [0, 1, 2, 27, 28, 60])
def test_runs_of_zeros_are_letters(zeros: int) -> None:
    """What is packed is unpacked to the same."""
    levels = np.array([3, *[0] * zeros, 9], np.uint8)
    packed = pack([levels[:1], levels[1:]])
    assert unpack(packed) == levels.tolist()
    assert len(packed) <= 2 + max(1, zeros // 27 + 1)
    assert pack([]) == ""
