"""Rules that share the mass of all chunks out: what they keep, what they change."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from attnmass import AttentionRanker, HeadProfile, Trim
from attnmass.layouts import QueryAttention
from attnmass.profiles import RankRule
from attnmass.results import hidden
from attnmass.scoring.masses import chunk_scores
from attnmass.scoring.order import log_masses
from tests.tiny import tiny_model, tiny_tokenizer

QUERY = "who invented it?"
CHUNKS = ["Einstein invented the refrigerator.", "Trains run. They are late.", "a cat sat"]
PLAIN = HeadProfile.from_heads([(0, 1), (1, 2)], model="tiny", layout="parallel")
RULE = RankRule(((2, 3), (1, 0)), (2.0, -1.0))
SHARED = replace(PLAIN, ranking=RULE)

masses = st.lists(st.floats(0, 0.3), min_size=1, max_size=8)


def ranker(profile: HeadProfile) -> AttentionRanker:
    """A tiny model that is read by a profile."""
    return AttentionRanker(tiny_model(), tiny_tokenizer(), profile=profile)


def test_by_hand() -> None:
    """Two chunks, one head: shares are as the powers of mass over the mean."""
    rule = RankRule(((0, 0),), (2.0,))
    one, other = rule([0.3, 0.1], [[0.2, 0.4]])
    assert one + other == pytest.approx(0.4)
    assert other / one == pytest.approx(((0.4 / 0.3 + 0.02) / (0.2 / 0.3 + 0.02)) ** 2)


def test_negative_exponent_counts_against() -> None:
    """A chunk that a head with a negative exponent looks at gets less."""
    rule = RankRule(((0, 0), (0, 1)), (1.0, -1.0))
    one, other = rule([0.2, 0.2], [[0.1, 0.1], [0.3, 0.1]])
    assert one < other


@given(masses, st.floats(-3, 3), st.floats(0.01, 3))
def test_all_mass_is_shared_out(found: list[float], exponent: float, scale: float) -> None:
    """Scores are not below zero, sum to the mass, and do not depend on how much a head sees."""
    rule = RankRule(((0, 0),), (exponent,))
    scores = rule(found, [found])
    assert min(scores) >= 0
    assert sum(scores) == pytest.approx(min(1.0, sum(found)), abs=1e-9)
    if sum(found) > 1e-3:
        scaled = rule(found, [[mass * scale for mass in found]])
        assert scaled == pytest.approx(scores, abs=1e-6)


def test_a_lone_chunk_keeps_its_mass() -> None:
    """Where there is nothing to compare with, a score is the mass: low for what is irrelevant."""
    assert RULE([0.03], [[0.5], [0.001]]) == pytest.approx([0.03])
    chunk = ranker(SHARED).rank(QUERY, CHUNKS[:1]).chunks[0]
    assert chunk.score == pytest.approx(chunk.mass)


def test_heads_without_any_mass_say_nothing() -> None:
    """No mass, no shares: not a division by zero."""
    assert RULE([0.2, 0.1], [[0.0, 0.0], [0.0, 0.0]]) == pytest.approx([0.15, 0.15])
    assert RULE([0.0, 0.0], [[0.1, 0.2], [0.1, 0.1]]) == [0.0, 0.0]
    assert RULE([-0.1, 0.2], [[0.1, 0.1], [0.1, 0.1]]) == pytest.approx([0.1, 0.1])
    assert RULE([], [[], []]) == []


def test_scores_are_shares_and_masses_stay() -> None:
    """Order and scores are the rule's, the mass of each chunk is told beside it."""
    plain, shared = ranker(PLAIN).rank(QUERY, CHUNKS), ranker(SHARED).rank(QUERY, CHUNKS)
    mass = {chunk.index: chunk.score for chunk in plain.chunks}
    assert {chunk.index: chunk.mass for chunk in shared.chunks} == pytest.approx(mass, abs=1e-6)
    assert sum(shared.scores) == pytest.approx(sum(plain.scores), abs=1e-6)
    alone = [
        AttentionRanker(tiny_model(), tiny_tokenizer(), heads=[head]).rank(QUERY, CHUNKS).scores
        for head in RULE.heads
    ]
    assert shared.scores == pytest.approx(RULE(list(plain.scores), alone), abs=1e-6)
    assert [chunk.score for chunk in shared.chunks] == sorted(shared.scores, reverse=True)
    assert shared.evidence == pytest.approx(plain.evidence, abs=1e-6)


def test_spans_of_a_chunk_that_gets_more_get_more() -> None:
    """Trimming weighs sentences by their chunk's score, not by its mass."""
    plain = ranker(PLAIN).rank(QUERY, CHUNKS, trim=Trim())
    shared = ranker(SHARED).rank(QUERY, CHUNKS, trim=Trim())
    before = {span.id: span for chunk in plain.chunks for span in chunk.spans}
    for chunk in shared.chunks:
        for span in chunk.spans:
            gain = span.score / before[span.id].score
            assert gain == pytest.approx(math.sqrt(chunk.score / chunk.mass), rel=1e-3)


def test_heads_that_were_read_in_another_order() -> None:
    """Scores do not depend on where in what was read a head stands."""
    draw = torch.Generator().manual_seed(0)
    found = tuple(torch.rand(4, size, generator=draw) / 40 for size in (3, 5))
    heads = [(0, 1), (1, 2), (2, 3), (1, 0)]
    scores, sums = chunk_scores(QueryAttention(found, torch.zeros(4)), SHARED, heads)
    back = tuple(chunk.flip(0) for chunk in found)
    again = chunk_scores(QueryAttention(back, torch.zeros(4)), SHARED, heads[::-1])
    assert again[0] == pytest.approx(scores)
    assert again[1] == pytest.approx(sums)
    assert scores != pytest.approx(sums)


def test_log_masses() -> None:
    """Logarithms, with a floor far below the largest; nothing to tell where there is no mass."""
    assert log_masses([0.1, 0.01]) == pytest.approx([math.log(0.1), math.log(0.01)])
    assert log_masses([1.0, 0.0, -1.0]) == pytest.approx([0.0, math.log(1e-4), math.log(1e-4)])
    assert log_masses([0.0, -0.5]) == [0.0, 0.0]
    assert log_masses([]) == []


def test_page_and_metadata_tell_score_and_mass(capsys: pytest.CaptureFixture[str]) -> None:
    """Page and terminal show both; metadata have the mass where it is shared out anew."""
    for profile, both in ((PLAIN, False), (SHARED, True)):
        ranking = ranker(profile).rank(QUERY, CHUNKS)
        first = ranking.chunks[0]
        told, mass = f"score {first.score:.4f}", f"mass {first.mass:.4f}"
        explanation = ranking.explain()
        page = " ".join(re.sub("<[^>]+>", "", explanation.to_html()).split())
        explanation.print()
        for shown in (page, capsys.readouterr().out):
            assert told in shown
            assert mass in shown
        drawn = explanation.to_dict()["chunks"][0]
        assert drawn["mass"] == round(first.mass, 7)
        assert ("mass" in hidden.describe(ranking, first, place=0, model="tiny")) is both
