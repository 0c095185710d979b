"""How retrieval scores are weighed against attention, fitted on made-up queries."""

from __future__ import annotations

import numpy as np
import pytest

from attnmass.fitting.evidence.fused_evidence import fit_fused_evidence
from attnmass.fitting.evidence.fusing import LEAST_QUERIES, fit_fusing
from attnmass.fitting.evidence.relevance import RelevanceFit
from attnmass.fitting.evidence.tables import Table
from attnmass.fitting.metrics import Floats, auc_between
from attnmass.fitting.queries.items import LabelledChunk, LabelledQuery
from attnmass.profiles import RelevanceRule
from attnmass.profiles.texts import ordinary_rarity
from attnmass.scoring.evidence import by_both
from attnmass.scoring.order import sigmoid
from attnmass.text.words import QueryWords

N_CHUNKS = 6
THRESHOLD = 0.4


def made(
    count: int, *, attention: float, cosine: float
) -> tuple[list[LabelledQuery], list[Floats]]:
    """Queries whose first chunk answers, with the log-odds that attention gives their chunks.

    Args:
        count: How many.
        attention: By how much attention tells the first chunk, in units of its noise.
        cosine: The same of the retriever.
    """
    generator = np.random.default_rng(7)
    queries, logits = [], []
    for number in range(count):
        first = np.arange(N_CHUNKS) == 0
        logits.append(generator.normal(size=N_CHUNKS) + attention * first)
        cosines = np.clip(0.3 + 0.1 * (generator.normal(size=N_CHUNKS) + cosine * first), -1, 1)
        scores = zip(cosines.tolist(), (20 * cosines + 5).tolist(), strict=True)
        chunks = tuple(
            LabelledChunk(f"{number} {i}", float(i == 0), str(i), retrieval_scores=both)
            for i, both in enumerate(scores)
        )
        queries.append(LabelledQuery(f"question {number}", chunks, str(number), f"line {number}"))
    return queries, logits


def cosines_of(query: LabelledQuery) -> Floats:
    """Of each chunk, `[chunk]`."""
    return np.array([chunk.retrieval_scores[0] for chunk in query.chunks])


def relevance(logits: list[Floats], threshold: float | None = THRESHOLD) -> RelevanceFit:
    """As it is fitted before."""
    rule = RelevanceRule(((0, 0),), (1.0,), evidence_threshold=threshold)
    own, none = np.ones(N_CHUNKS, dtype=bool), np.zeros(0, dtype=bool)
    words = QueryWords("question", ordinary_rarity())
    rows, spans = np.zeros((N_CHUNKS, 2)), np.zeros((0, 2))
    table = Table(rows, ~own, own, spans, none, words, [0] * N_CHUNKS)
    told = (1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.1)
    return RelevanceFit(rule, *told, (), 0, tuple(logits), (table,) * len(logits))


def test_the_better_side_weighs_more() -> None:
    """Both sides get weights by what they tell, and together they order better than either."""
    for attention, cosine in ((2.5, 0.5), (0.5, 2.5)):
        queries, logits = made(60, attention=attention, cosine=cosine)
        found = fit_fusing(queries, logits)
        assert found is not None
        mine, retriever = found.rule.embedding
        assert (mine > retriever) == (attention > cosine)
        for kind in ("embedding", "lexical"):
            assert found.queries[kind] == 60
            assert found.fused[kind] >= max(found.alone[kind], found.attention[kind]) - 0.01


def test_too_few_queries_tell_nothing() -> None:
    """Below the least number there is no rule, nor one for evidence."""
    queries, logits = made(LEAST_QUERIES - 1, attention=1.0, cosine=1.0)
    folds = np.arange(len(queries)) % 3
    assert fit_fusing(queries, logits) is None
    assert fit_fused_evidence(queries, relevance(logits), folds) is None


@pytest.mark.parametrize(("attention", "cosine"), [(2.5, 0.5), (0.5, 2.5), (1.5, 1.5)])
def test_evidence_by_both(attention: float, cosine: float) -> None:
    """It tells about as well as the better side, and better than both where they are even.

    Within bounds, that is: much better cosines alone would tell more than they are let.
    """
    queries, logits = made(90, attention=attention, cosine=cosine)
    found = fit_fused_evidence(queries, relevance(logits), np.arange(90) % 5)
    assert found is not None
    assert found.queries == 90  # cosines; the other scores are of no fixed scale
    unbounded = [
        mine * found.weights[0] + cosines_of(query) * found.weights[1]
        for query, mine in zip(queries, logits, strict=True)
    ]
    best, left = (np.array([one[some:].max() for one in unbounded]) for some in (0, 1))
    assert auc_between(best, left) > max(found.attention, found.retriever) - 0.02
    assert found.nearest > found.attention - 0.02
    if cosine > attention:
        assert found.nearest > (found.attention + found.retriever) / 2
    if attention == cosine:
        assert found.nearest > max(found.attention, found.retriever) + 0.01
    of_relevance, of_score, _ = found.weights
    assert of_relevance > 0
    assert of_score > 0


def test_one_threshold_suits_both() -> None:
    """Whatever the threshold of relevance, it silences as many here, which the fit has told."""
    queries, logits = made(90, attention=1.5, cosine=1.5)
    told = {}
    for threshold in (0.2, 0.4, 0.7):
        found = fit_fused_evidence(queries, relevance(logits, threshold), np.arange(90) % 5)
        assert found is not None
        evidence = [
            max(
                by_both(sigmoid(logit), chunk.retrieval_scores[0], found.weights)
                for logit, chunk in zip(mine, query.chunks, strict=True)
            )
            for mine, query in zip(logits, queries, strict=True)
        ]
        told[threshold] = float(np.mean(np.array(evidence) < threshold))
        assert told[threshold] == pytest.approx(found.silenced, abs=0.05)


def test_without_a_threshold_there_is_nothing_to_suit() -> None:
    """Where relevance told too little for a threshold, cosines have no part in evidence."""
    queries, logits = made(60, attention=0.0, cosine=2.0)
    folds = np.arange(60) % 5
    assert fit_fused_evidence(queries, relevance(logits, None), folds) is None
