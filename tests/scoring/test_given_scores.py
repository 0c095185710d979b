"""What scores of a retriever, and a query's words, do to the order."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any, get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from attnmass.options.choices import RetrievalKind
from attnmass.options.selection import Selection
from attnmass.scoring.selection import Parts, rank
from attnmass.text.chunk import Chunk
from tests.scoring.five import CHUNKS, MASSES, PARTS, RULE, apply, indices, ranked_by


def test_fuse_orders_by_both_and_so_does_the_score() -> None:
    """A blend changes the order and the scores with it; what it was made of stands beside it."""
    given = [9.0, 1.0, 5.0, 0.0, 1.0]
    ranked = apply(retrieval_scores=given, fuse=1.0)
    assert indices(ranked) == [0, 2, 1, 4, 3]
    assert [chunk.score for chunk in ranked] == sorted((c.score for c in ranked), reverse=True)
    assert sum(chunk.score for chunk in ranked) == pytest.approx(1.0)
    assert (ranked[0].share, ranked[0].mass, ranked[0].retrieval_score) == (0.1, 0.1, 9.0)
    assert indices(apply(retrieval_scores=given, fuse=0.0)) == [1, 4, 0, 2, 3]


def test_fused_by_rule_where_every_chunk_has_a_score() -> None:
    """By default the profile's rule weighs both; `None` and a missing score leave attention."""
    given = [9.0, 1.0, 5.0, 0.0, 8.0]
    shares = np.log(list(MASSES.values()))
    told = np.array([given[i] for i in MASSES])
    looked = (shares - shares.mean()) / np.sqrt(shares.var() + 0.25)
    fused = looked + 0.5 * (told - told.mean()) / told.std()
    logits = dict(zip(MASSES, fused.tolist(), strict=True))
    ranked = apply(retrieval_scores=given)
    assert indices(ranked) == [*sorted(logits, key=lambda i: -logits[i]), 3]
    total = sum(math.exp(logit) for logit in logits.values())
    best = ranked[0]
    assert best.score == pytest.approx(math.exp(logits[best.index]) / total)
    alone = apply()
    assert apply(retrieval_scores=given, fuse=None)[0].score == alone[0].score
    for hole in (None, float("nan")):
        found = apply(retrieval_scores=[9.0, hole, 5.0, 0.0, 8.0])
        assert [chunk.score for chunk in found] == [chunk.score for chunk in alone]
    missing_where_nothing_was_read = [9.0, 1.0, 5.0, None, 8.0]
    assert indices(apply(retrieval_scores=missing_where_nothing_was_read)) == indices(ranked)


def test_without_a_rule_attention_alone_orders() -> None:
    """A profile that has none leaves the order to attention, whatever the retriever says."""
    found = rank(Selection(retrieval_scores=[9, 1, 5, 0, 8]), CHUNKS, PARTS, {3: "blank"})
    assert indices(tuple(found)) == [1, 4, 0, 2, 3]


class Column:
    """A column of a sorted and filtered table, as `pandas.Series`: asked by its labels."""

    def __init__(self, values: list[float], labels: list[int]) -> None:
        self.values = dict(zip(labels, values, strict=True))

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[float]:
        return iter(self.values.values())

    def __getitem__(self, label: int) -> float:
        return self.values[label]


def test_scores_are_taken_in_their_order() -> None:
    """Labels of a table's rows do not count."""
    given = [9.0, 1.0, 5.0, 0.0, 8.0]
    column = Column(given, [3, 1, 4, 0, 7])
    assert Selection(retrieval_scores=column).retrieval_scores == tuple(given)
    assert apply(retrieval_scores=column) == apply(retrieval_scores=given)


@pytest.mark.parametrize(
    "kind", [np.float16, np.array, torch.tensor, lambda some: [Decimal(x) for x in some], tuple]
)
def test_scores_are_numbers_of_any_kind(kind: Any) -> None:
    """Arrays, tensors and decimals become the same Python floats as a list."""
    given = [9.0, 1.0, 5.0, 0.0, 8.0]
    found = apply(retrieval_scores=kind(given))
    assert found == apply(retrieval_scores=given)
    assert {type(chunk.retrieval_score) for chunk in found} == {float}


def test_a_score_that_no_float_holds() -> None:
    """It counts as infinite: then attention alone decides, as where a score is missing."""
    alone = apply(retrieval_scores=[None] * 5)
    found = apply(retrieval_scores=[9.0, 10**400, 5.0, -(10**400), 8.0])
    assert indices(found) == indices(alone)
    assert {chunk.retrieval_score for chunk in found} == {9.0, math.inf, 5.0, -math.inf, 8.0}


anything = st.one_of(
    st.none(),
    st.floats(),
    st.integers(),
    st.decimals(allow_nan=False),
    st.floats(width=16).map(np.float16),
    st.floats(width=32).map(torch.tensor),
)
several = st.one_of(
    st.lists(st.floats(-1, 1), min_size=4, max_size=4),
    st.lists(st.floats(0, 60), min_size=4, max_size=4),
    st.permutations([1, 2, 3, 4]),
    st.permutations([1 / (60 + rank) for rank in range(4)]),
    st.lists(st.floats(0, 2), min_size=4, max_size=4).map(sorted),
    st.lists(anything, min_size=4, max_size=4),
    st.just([0.5] * 4),
)


@given(
    scores=several,
    shares=st.lists(st.floats(0, 1), min_size=4, max_size=4),
    texts=st.lists(st.integers(0, 3), min_size=4, max_size=4),
    kind=st.sampled_from(get_args(RetrievalKind)),
)
def test_fused_scores_are_an_order(
    scores: list[Any], shares: list[float], texts: list[int], kind: str
) -> None:
    """Whatever a retriever gives: all are there once, by score, in [0, 1], copies alike."""
    of_text = {text: shares[texts.index(text)] for text in texts}
    parts = {
        index: Parts(mass=of_text[text], share=of_text[text], n_tokens=5, text=text)
        for index, text in enumerate(texts)
    }
    selection = Selection(retrieval_scores=scores, retrieval_kind=kind)
    selection.check(4)
    chunks = [Chunk(str(text)) for text in texts]
    found = rank(selection, chunks, parts, {}, rule=RULE)
    told = [chunk.score for chunk in found]
    assert sorted(indices(found)) == [0, 1, 2, 3]
    assert told == sorted(told, reverse=True)
    assert all(0 <= score <= 1 for score in told)
    by_text: dict[int, set[float]] = {}
    for chunk in found:
        by_text.setdefault(texts[chunk.index], set()).add(chunk.score)
    assert all(len(each) == 1 for each in by_text.values())
    if any(score is None or not math.isfinite(float(score)) for score in scores):
        alone = rank(Selection(), chunks, parts, {}, rule=RULE)
        assert indices(found) == indices(alone)


def test_words_count_where_no_retriever_does() -> None:
    """Words of the query move the order, but for a retriever's scores or a logit they do not."""
    words = [9.0, 0.0, 5.0, 0.0]  # of chunks 0, 1, 2 and 4
    assert [chunk.index for chunk in ranked_by(words)] == [0, 2, 1, 4, 3]
    scores = [chunk.score for chunk in ranked_by(words)]
    assert scores == sorted(scores, reverse=True)
    assert sum(scores) == pytest.approx(1.0)
    given = {"retrieval_scores": [0.1, 0.2, 0.3, 0.4, 0.9]}
    assert ranked_by(words, **given) == ranked_by(**given)
    assert ranked_by([0.0] * 4) != ranked_by()  # shares of 1, in the same order
    assert [c.index for c in ranked_by([0.0] * 4)] == [c.index for c in ranked_by()]
    for some in ([None] * 5, [0.1, 0.2, None, 0.4, 0.9]):  # not all are known
        assert [c.score for c in ranked_by(words, retrieval_scores=some)] == scores


def test_what_a_classification_head_says_needs_no_words() -> None:
    """It was trained to rank."""
    parts = {i: replace(part, logit=float(i)) for i, part in PARTS.items()}
    found = [
        rank(Selection(), CHUNKS, parts, {}, "logit", RULE, words=words)
        for words in (None, [9.0, 0.0, 5.0, 0.0])
    ]
    assert found[0] == found[1]
