"""Evidence by a retriever's cosines: the core's, whichever way they come."""

from __future__ import annotations

from typing import get_args

import pytest

from attnmass import AttentionRanker, HeadProfile
from attnmass.options.choices import RetrievalKind
from attnmass.profiles import FuseRule, RelevanceRule
from attnmass.profiles.texts import ordinary_texts
from tests.conftest import HEADS
from tests.contract.adapters import Adapter, Candidate
from tests.contract.candidates import QUERY
from tests.tiny import tiny_model, tiny_tokenizer

TEXTS = (
    "The river runs through the city.",
    "A physicist developed a theory.",
    "Trains, books and music are made of words.",
    "Nobody is relevant to the query.",
)
COSINES = [0.9, 0.4, None, -0.2]


@pytest.fixture(scope="module")
def scored() -> AttentionRanker:
    """One whose profile knows what cosines say."""
    profile = HeadProfile.from_heads(
        HEADS,
        model="tiny",
        layout="late",
        relevance=RelevanceRule(HEADS, (0.5, 0.4, 0.3), evidence_threshold=0.2),
        fusing=FuseRule((1.0, 1.0), (1.0, 1.0), (1.0, 1.0), evidence=(0.5, 6.0, -3.0)),
        background=ordinary_texts()[:4],
    )
    return AttentionRanker(tiny_model(), tiny_tokenizer(), profile=profile, layout="late")


def candidates(scores: list[float | None]) -> list[Candidate]:
    """Some texts with these scores."""
    return [
        Candidate(text, score=score, id=f"id-{place}")
        for place, (text, score) in enumerate(zip(TEXTS, scores, strict=True))
    ]


def test_it_is_the_cores(adapter: Adapter, scored: AttentionRanker) -> None:
    """Cosines have the part in evidence that they have in the core, distances and ranks none."""
    found = adapter.build(candidates(COSINES))
    by_kind = {}
    for kind in get_args(RetrievalKind):
        result = adapter.run(adapter.telling(scored, retrieval_kind=kind), found, QUERY)
        expected = scored.rank(QUERY, TEXTS, retrieval_scores=COSINES, retrieval_kind=kind).evidence
        for each in adapter.read(result):
            assert each.hidden["evidence"] == pytest.approx(expected)
        by_kind[kind] = expected
    alone = scored.rank(QUERY, TEXTS).evidence
    assert by_kind["auto"] == by_kind["similarity"] != alone
    assert by_kind["distance"] == by_kind["rank"] == alone
