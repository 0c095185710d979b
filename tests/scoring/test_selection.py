"""Order and cuts, without a model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from attnmass.layouts import QueryAttention
from attnmass.options.choices import RankBy
from attnmass.options.selection import Selection
from attnmass.scoring import masses
from attnmass.scoring.order import fuse, order
from attnmass.scoring.selection import Parts, cut, rank
from attnmass.text.chunk import Chunk
from tests.scoring.five import CHUNKS, PARTS, RULE, apply, indices, ranked_by

GIVEN = [0.1, 0.9, 0.3, 0.0, 0.8, 1.0]


def test_order_by_mass_ties_in_input_order() -> None:
    """The largest mass is first, ties keep input order, what was skipped is last with 0.0."""
    ranked = apply()
    assert indices(ranked) == [1, 4, 0, 2, 3]
    assert ranked[-1].score == 0.0
    assert ranked[-1].skipped == "blank"


def test_metadata_come_back() -> None:
    """What is known of a chunk is with its result, the very object, of what was skipped, too."""
    for chunk in ranked_by():
        assert chunk.metadata is CHUNKS[chunk.index].metadata


def test_top_n() -> None:
    """The best so many are kept."""
    assert indices(apply(top_n=2)) == [1, 4]
    assert indices(apply(top_n=9)) == [1, 4, 0, 2, 3]


def test_min_relevance() -> None:
    """Chunks of at least so much relevance are kept; what was skipped has none."""
    assert indices(apply(0.6)) == [1, 4]
    assert indices(apply(0.0)) == [1, 4, 0, 2, 3]
    assert indices(apply(0.1)) == [1, 4, 0, 2]
    assert apply(0.9) == ()


def test_threshold_before_top_n() -> None:
    """Both together keep the best so many of those above the threshold."""
    assert indices(apply(0.1, top_n=3)) == [1, 4, 0]
    assert indices(apply(0.4, top_n=3)) == [1, 4]


def test_copies_have_the_same_score_and_change_no_other() -> None:
    """A second copy stands beside the first, and all else is as it was, fused or not."""
    twice = PARTS | {5: PARTS[1]}
    chunks = [*CHUNKS, Chunk("text")]
    for scores in (None, [9.0, 1.0, 5.0, 0.0, 8.0]):
        for fuse_by in (None, "auto") if scores is None else (None, "auto", 0.5):
            given = None if scores is None else [*scores, 1.0]
            alone = rank(
                Selection(retrieval_scores=scores, fuse=fuse_by), CHUNKS, PARTS, {}, rule=RULE
            )
            found = rank(
                Selection(retrieval_scores=given, fuse=fuse_by), chunks, twice, {}, rule=RULE
            )
            before = {chunk.index: chunk.score for chunk in alone}
            after = {chunk.index: chunk.score for chunk in found}
            assert after.pop(5) == after[1]
            assert after == before
            assert [c.index for c in found if c.index != 5] == [c.index for c in alone]


@pytest.mark.parametrize("rank_by", get_args(RankBy))
@pytest.mark.parametrize(
    ("fuse_by", "given_"),
    [(None, None), ("auto", None), *((by, GIVEN) for by in (None, "auto", 0.5))],
)
def test_what_only_repeats_the_question_is_after_the_others(
    rank_by: RankBy, fuse_by: Any, given_: list[float] | None
) -> None:
    """Whatever else speaks for it, and it takes nothing from them; what was skipped is last."""
    parts = {i: replace(part, logit=float(i)) for i, part in PARTS.items()}
    echo = Parts(mass=0.9, share=0.9, n_tokens=5, logit=9.0, text=len(parts), echoes=True)
    every = [*CHUNKS, Chunk("text")]
    told: dict[str, Any] = {"rank_by": rank_by, "rule": RULE}
    if fuse_by == "auto":
        told["words"] = [1.0, 0.0, 2.0, 0.0, 9.0]
    found = [
        rank(Selection(retrieval_scores=given_, fuse=fuse_by), chunks, known, {3: "blank"}, **told)
        for chunks, known in ((CHUNKS, parts), (every, {5: echo} | parts))
    ]
    without, beside = ([(c.index, c.score) for c in one] for one in found)
    assert beside == [*without[:-1], (5, 0.0), without[-1]]
    assert found[1][-2].retrieval_score == (given_ and given_[5])


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"top_n": 0}, "top_n must be at least 1"),
        ({"top_n": -1}, "top_n must be at least 1"),
        ({"min_relevance": float("nan")}, "min_relevance must be between 0 and 1"),
        ({"min_relevance": 1.5}, "min_relevance must be between 0 and 1"),
        ({"evidence_threshold": 1.5}, "evidence_threshold must be between 0 and 1"),
        ({"evidence_threshold": float("nan")}, "evidence_threshold must be between 0 and 1"),
        ({"fuse": float("nan"), "retrieval_scores": [1.0] * 5}, "fuse must be between 0 and 1"),
        ({"order": "worst"}, "order must be one of .*'best_last'.*, not 'worst'"),
        ({"order": None}, "order must be one of"),
        ({"on_no_evidence": "cry"}, "on_no_evidence must be one of .*'raise'.*, not 'cry'"),
        ({"fuse": 1.5, "retrieval_scores": [1.0] * 5}, "between 0 and 1"),
        ({"fuse": 0.5}, "needs retrieval_scores"),
        ({"fuse": 0.5, "retrieval_scores": [1.0, 2.0, None, 1.0, 1.0]}, r"chunks\[2\] has None"),
        (
            {"fuse": 0.5, "retrieval_scores": [1.0, float("nan"), 1.0, 1.0, 1.0]},
            r"chunks\[1\] has nan",
        ),
        ({"retrieval_scores": [1.0]}, "5 chunks need as many retrieval_scores, not 1"),
    ],
)
def test_impossible_options(options: dict[str, Any], match: str) -> None:
    """Options that cannot be are an error with the number in it."""
    with pytest.raises(ValueError, match=match):
        apply(**options)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        *(("top_n", wrong) for wrong in (True, "5", 2.0, float("nan"))),
        *(("min_relevance", wrong) for wrong in (True, [0.5])),
        *(("fuse", wrong) for wrong in (True, [0.5])),
        *(("evidence_threshold", wrong) for wrong in (False, "0.5")),
    ],
)
def test_options_of_another_type(name: str, wrong: Any) -> None:
    """An option of another type is a `TypeError` with its name."""
    with pytest.raises(TypeError, match=f"{name} must be .*, or None"):
        Selection(**{name: wrong})


@pytest.mark.parametrize(
    ("order", "expected"),
    [("score", [1, 4, 0, 2, 3]), ("input", [0, 1, 2, 3, 4]), ("best_last", [3, 2, 0, 4, 1])],
)
def test_order_of_what_is_kept(order: Any, expected: list[int]) -> None:
    """Best first, as it came in, or best last; which chunks are kept does not depend on it."""
    assert indices(apply(order=order)) == expected
    best = indices(apply(top_n=3))
    assert indices(apply(order=order, top_n=3)) == [i for i in expected if i in best]


@pytest.mark.parametrize(
    ("on_no_evidence", "kept"), [("keep", [1, 4]), ("empty", []), ("raise", [])]
)
def test_no_evidence(on_no_evidence: Any, kept: list[int]) -> None:
    """Without evidence chunks are kept all the same, or all are dropped for that, best first."""
    selection = Selection(top_n=2, on_no_evidence=on_no_evidence)
    ranked = rank(selection, CHUNKS, PARTS, {3: "blank"})
    found, dropped = cut(selection, ranked, no_evidence=True)
    assert indices(tuple(found)) == kept
    if not kept:
        assert [chunk.index for chunk in dropped] == [1, 4, 0, 2, 3]
        assert {chunk.dropped for chunk in dropped} == {"no_evidence"}
    assert len(cut(selection, ranked, no_evidence=False)[0]) == 2


def test_dropped_chunks_say_why() -> None:
    """Each has its reason: relevance comes before `top_n`; what is kept has none."""
    selection = Selection(top_n=1)
    kept, dropped = cut(selection, ranked_by(top_n=1), min_relevance=0.4)
    assert [(chunk.index, chunk.dropped) for chunk in kept] == [(1, None)]
    assert [(chunk.index, chunk.dropped) for chunk in dropped] == [
        (4, "top_n"),
        (0, "min_relevance"),
        (2, "min_relevance"),
        (3, "min_relevance"),
    ]


def test_fuse_is_the_sum_of_z_scores() -> None:
    """At one half the blend is the mean of both z-scores, worked out by hand."""
    assert fuse([0.0, 2.0], [10.0, 10.0], 0.5) == [-0.5, 0.5]
    assert fuse([0.0, 2.0], [4.0, 0.0], 0.5) == [0.0, 0.0]
    assert fuse([0.7], [3.0], 0.5) == [0.0]


def test_masses_by_hand() -> None:
    """Mass is the weighted mean over heads, summed over tokens."""
    attention = QueryAttention(
        (torch.tensor([[0.1, 0.2], [0.3, 0.0]]), torch.tensor([[0.5], [0.25]])), torch.zeros(2)
    )
    assert masses.chunk_masses(attention, (0.25, 0.75)) == pytest.approx([0.3, 0.3125])
    token = masses.token_masses(attention.chunks[0], (0.25, 0.75))
    assert token.tolist() == pytest.approx([0.25, 0.05])


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=20))
def test_order_is_a_stable_sort(keys: list[float]) -> None:
    """Every index once, keys falling, equal keys in input order."""
    found = order(keys)
    assert sorted(found) == list(range(len(keys)))
    pairs = [(-keys[i], i) for i in found]
    assert pairs == sorted(pairs)
