"""Chunks held against texts of one's own: relevance moves with them, and stays in its place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from attnmass import AttentionRanker, HeadProfile, UnsupportedModelError, load_profile
from attnmass.layouts.late_reading import ChunkVectors
from tests.engine.relevance import PARAGRAPHS, QUERY, profile
from tests.tiny import tiny_model, tiny_tokenizer

OWN = PARAGRAPHS[20:44]


@pytest.fixture(scope="module")
def ranker() -> AttentionRanker:
    """One whose background ships."""
    return AttentionRanker(tiny_model(), tiny_tokenizer(), profile=profile(), layout="late")


def log_odds(ranker: AttentionRanker, texts: list[str]) -> list[float]:
    """Those of each text's relevance."""
    chunks = sorted(ranker.rank(QUERY, texts).chunks, key=lambda chunk: chunk.index)
    found = [chunk.relevance or 0.0 for chunk in chunks]
    return [math.log(one / (1 - one)) for one in found]


def test_relevance_is_told_beside_these_texts(ranker: AttentionRanker) -> None:
    """Another background tells other numbers, of about the same size; the ranker stays as it is."""
    texts = PARAGRAPHS[:12]
    before = log_odds(ranker, texts)
    made = ranker.with_background(OWN)
    after = log_odds(made, texts)
    assert made.profile.background == tuple(OWN)
    assert after != pytest.approx(before, abs=1e-3)
    assert fmean(after) == pytest.approx(fmean(before), abs=0.5)
    assert log_odds(ranker, texts) == before
    assert ranker.profile == profile()


def test_constants_take_up_the_difference(ranker: AttentionRanker) -> None:
    """Twice the same texts are twice the company: mass halves, and relevance hardly moves."""
    made = ranker.with_background(OWN)
    again = made.with_background([*OWN, *(f"{text} " for text in OWN)])
    rule, other = made.profile.relevance, again.profile.relevance
    assert rule is not None
    assert other is not None
    assert abs(other.bias - rule.bias) > 0.1
    assert other.span_bias - rule.span_bias == pytest.approx(
        rule.span_scale * (other.bias - rule.bias)
    )
    texts = PARAGRAPHS[:12]
    assert fmean(log_odds(again, texts)) == pytest.approx(fmean(log_odds(made, texts)), abs=0.1)


def test_texts_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The constants come out of the background's own vectors, and none is stored twice."""
    monkeypatch.setattr("attnmass.layouts.late_reading._folder", lambda: tmp_path / "background")
    ranker = AttentionRanker(
        tiny_model(), tiny_tokenizer(), profile=profile(), layout="late", store=tmp_path / "own"
    )
    read: list[int] = []
    batch = ChunkVectors._read_batch

    def counted(self: ChunkVectors, rows: Sequence[Sequence[int]]) -> Any:
        read.extend(map(len, rows))
        return batch(self, rows)

    monkeypatch.setattr(ChunkVectors, "_read_batch", counted)
    ranker.warm(PARAGRAPHS[:1])  # reads the first background, too
    read.clear()
    before = ranker.stats
    ranker.with_background(OWN)
    assert len(read) == len(OWN)
    assert ranker.stats == before


def test_order_and_share_are_the_same(ranker: AttentionRanker) -> None:
    """Chunks compete as before."""
    texts = PARAGRAPHS[:12]
    one, other = ranker.rank(QUERY, texts), ranker.with_background(OWN).rank(QUERY, texts)
    assert [chunk.index for chunk in one.chunks] == [chunk.index for chunk in other.chunks]
    assert one.scores == other.scores


def test_its_profile_makes_the_same_ranker(ranker: AttentionRanker, tmp_path: Path) -> None:
    """What was saved and loaded again tells the same relevance, to the last bit."""
    made = ranker.with_background(OWN)
    (tmp_path / "own.json").write_text(made.profile.to_json(), encoding="utf-8")
    saved = load_profile(tmp_path / "own.json")
    again = AttentionRanker(tiny_model(), tiny_tokenizer(), profile=saved, layout="late")
    assert log_odds(again, PARAGRAPHS[:12]) == log_odds(made, PARAGRAPHS[:12])


def test_of_many_texts_a_sample_is_taken(ranker: AttentionRanker) -> None:
    """Eighty at most, different ones, spread over all; the same every time."""
    many = [f"{i}. {PARAGRAPHS[i % len(PARAGRAPHS)]}" for i in range(200)]
    found = ranker.with_background([*many, *many, " "]).profile.background
    assert len(found) == len(set(found)) == 80
    assert found == ranker.with_background(many).profile.background
    assert found[-1] in many[190:]


@pytest.mark.parametrize(
    ("texts", "error", "message"),
    [
        (OWN[:7], ValueError, "at least 8 different texts, not 7"),
        ([OWN[0]] * 20, ValueError, "not 1"),
        ([], ValueError, "not 0"),
        (OWN[0], ValueError, "not 1"),
        ([*OWN, None], TypeError, "texts"),
    ],
)
def test_bad_texts(
    ranker: AttentionRanker, texts: list[str], error: type[Exception], message: str
) -> None:
    """Too few, or none: an error says so."""
    with pytest.raises(error, match=message):
        ranker.with_background(texts)


@pytest.mark.parametrize("layout", ["late", "parallel"])
def test_without_a_rule_there_is_nothing_to_hold(layout: str) -> None:
    """A profile that has no rule for relevance has no background."""
    heads = HeadProfile.from_heads(((1, 0),), model="tiny", layout=layout)
    ranker = AttentionRanker(tiny_model(), tiny_tokenizer(), profile=heads, layout=layout)
    with pytest.raises(UnsupportedModelError, match="has no rule for relevance"):
        ranker.with_background(OWN)
