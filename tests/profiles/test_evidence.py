"""Evidence: one number for a whole candidate set, and what is done where it is too little."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnmass import AttentionRanker, Chunk, HeadProfile, NoEvidenceError, Trim
from attnmass.profiles import EvidenceRule
from tests.contract.stub import StubRanker
from tests.tiny import tiny_model, tiny_tokenizer

CHUNKS = [Chunk("Rain fell. Snow fell."), Chunk("Wind blew.")]


def stub(rule: EvidenceRule | None = None) -> StubRanker:
    """A ranker that gives the first chunk a mass of 0.25 and any other one of 0.1."""
    profile = HeadProfile(
        "stub", "parallel", ((0, 0),), (1.0,), evidence=rule or EvidenceRule(threshold=0.3)
    )
    return StubRanker(lambda chunk: 0.25 if "Rain" in chunk.text else 0.1, profile=profile)


@pytest.mark.parametrize(
    ("rule", "masses", "n_tokens", "expected"),
    [
        # sigmoid(log(b)) = b / (1 + b)
        (EvidenceRule(), [0.25, 0.1], [4, 2], 0.2),
        (EvidenceRule(best=2.0), [0.5], [1], 0.2),
        (EvidenceRule(best=0.0, total=1.0), [0.15, 0.1], [4, 2], 0.2),
        (EvidenceRule(best=1.0, total=1.0), [0.5, 0.0], [4, 2], 0.2),
        (EvidenceRule(bias=math.log(4.0)), [0.25], [4], 0.5),
        # 0.1 of one token is more for its length than 0.25 of sixteen: 0.0625 < 0.1
        (EvidenceRule(length_exponent=0.5), [0.25, 0.1], [16, 1], 0.1 / 1.1),
        (EvidenceRule(length_exponent=1.0), [0.25], [0], 0.2),
        (EvidenceRule(best=0.0), [0.25], [4], 0.5),
        (EvidenceRule(), [0.0], [4], 1e-9),
        (EvidenceRule(best=100.0), [0.0], [4], 0.0),
        (EvidenceRule(best=-100.0), [0.0], [4], 1.0),
    ],
)
def test_by_hand(
    rule: EvidenceRule, masses: list[float], n_tokens: list[int], expected: float
) -> None:
    """The rule is a logistic function of the best and of all masses, worked out on paper."""
    assert rule(masses, n_tokens) == pytest.approx(expected, abs=1e-12)


def test_heads_of_its_own() -> None:
    """Each head adds its best chunk and its total; worked out on paper."""
    rule = EvidenceRule(
        best=1.0,
        length_exponent=0.5,
        heads=((1, 0), (2, 3)),
        best_of=(1.0, 0.0),
        total_of=(0.0, -1.0),
    )
    # best: 0.25 / 2; of the first head: 0.4 / 1; total of the second: 0.5 + 0.3
    odds = (0.25 / 2) * 0.4 / 0.8
    found = rule([0.25, 0.1], [4, 1], [[0.2, 0.4], [0.5, 0.3]])
    assert found == pytest.approx(odds / (1 + odds))


def test_evidence_reads_its_own_heads(tiny_ranker: Callable[..., AttentionRanker]) -> None:
    """Heads that only tell evidence are read too, and change no score."""
    plain = tiny_ranker(EvidenceRule())
    rule = EvidenceRule(best=0.0, heads=((0, 1), (2, 2)), best_of=(1.0, 0.0), total_of=(0.0, 1.0))
    ranker = tiny_ranker(rule)
    chunks = ["Albert Einstein", "the river", "trains and books"]
    found = ranker.rank("who?", chunks)
    assert found.scores == pytest.approx(plain.rank("who?", chunks).scores, abs=1e-6)
    attention = ranker.attention("who?", chunks).chunks
    order = ranker.profile.all_heads
    first, second = (
        [float(chunk[order.index(head)].sum()) for chunk in attention] for head in rule.heads
    )
    odds = max(first) * sum(second)
    assert found.evidence == pytest.approx(odds / (1 + odds))


@given(
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 10_000)), max_size=5),
    st.tuples(*[st.floats(-1e6, 1e6)] * 3),
    st.floats(0, 1),
)
def test_in_the_unit_interval(
    chunks: list[tuple[float, int]], numbers: tuple[float, float, float], exponent: float
) -> None:
    """Whatever the masses and the rule, evidence is between 0 and 1."""
    rule = EvidenceRule(*numbers, length_exponent=exponent)
    assert 0 <= rule([mass for mass, _ in chunks], [count for _, count in chunks]) <= 1


def test_no_chunks() -> None:
    """Without chunks evidence is 0.0."""
    assert EvidenceRule(bias=5.0)([], []) == 0.0


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("best", math.nan, ValueError),
        ("total", math.inf, ValueError),
        ("bias", "1", TypeError),
        ("length_exponent", 1.5, ValueError),
        ("threshold", -0.1, ValueError),
        ("threshold", True, TypeError),
        ("best_of", (1.0,), ValueError),
        ("total_of", (1.0,), ValueError),
    ],
)
def test_impossible_rules(field: str, value: Any, error: type[Exception]) -> None:
    """A number that cannot be is an error with the field's name."""
    with pytest.raises(error, match=f"{field} must (be|have)"):
        EvidenceRule(**{field: value})


def test_threshold_of_the_profile_and_of_the_call() -> None:
    """Less than the profile's threshold is none, unless the call has one of its own."""
    ranker = stub()  # evidence of 0.25 / 1.25 = 0.2
    ranking = ranker.rank("who?", CHUNKS)
    assert ranking.evidence == pytest.approx(0.2)
    assert ranking.no_evidence
    assert not ranker.rank("who?", CHUNKS, evidence_threshold=0.19).no_evidence
    assert not ranker.rank("who?", CHUNKS, evidence_threshold=ranking.evidence).no_evidence
    assert ranker.rank("who?", CHUNKS, evidence_threshold=0.21).no_evidence
    assert not ranker.rank("who?", CHUNKS, evidence_threshold=0.0).no_evidence


def test_without_a_threshold_there_is_always_evidence() -> None:
    """Where no data set one, nothing is called none."""
    assert not stub(EvidenceRule()).rank("who?", CHUNKS, on_no_evidence="raise").no_evidence


def test_evidence_is_of_all_chunks() -> None:
    """What is cut for other reasons counts all the same."""
    ranker = stub()
    assert ranker.rank("who?", CHUNKS[::-1], top_n=1).evidence == pytest.approx(0.2)
    found = ranker.rank("who?", CHUNKS, top_n=1, on_no_evidence="empty")
    assert (found.chunks, found.evidence) == ((), pytest.approx(0.2))


@pytest.mark.parametrize("trim", [None, Trim(max_tokens=1)], ids=["rank", "trim"])
class TestOnNoEvidence:
    """What becomes of the chunks."""

    def test_keep(self, trim: Trim | None) -> None:
        """They are kept, and the ranking says what it found."""
        trim = trim and Trim(max_tokens=100)
        found = stub().rank("who?", CHUNKS, trim=trim)
        assert len(found.chunks) == 2
        assert found.no_evidence

    def test_empty(self, trim: Trim | None) -> None:
        """All are dropped for it, and no budget is too small for none."""
        found = stub().rank("who?", CHUNKS, on_no_evidence="empty", trim=trim)
        assert found.chunks == ()
        assert [(c.index, c.dropped) for c in found.dropped] == [
            (0, "no_evidence"),
            (1, "no_evidence"),
        ]
        assert found.scores == pytest.approx((0.25, 0.1))

    def test_raise(self, trim: Trim | None) -> None:
        """The error says how much is lacking and carries the ranking, also through a pickle."""
        with pytest.raises(NoEvidenceError, match=r"'who\?': 0\.200 is less than 0\.300") as raised:
            stub().rank("who?", CHUNKS, on_no_evidence="raise", trim=trim)
        again = pickle.loads(pickle.dumps(raised.value))
        for error in (raised.value, again):
            assert error.ranking.evidence == pytest.approx(0.2)
            assert [c.index for c in error.ranking.dropped] == [0, 1]
            assert bool(error.ranking.dropped[0].spans) == (trim is not None)
            assert error.threshold == 0.3
        assert str(again) == str(raised.value)
        assert again.ranking == raised.value.ranking

    @pytest.mark.parametrize("on_no_evidence", ["keep", "empty", "raise"])
    def test_enough(self, trim: Trim | None, on_no_evidence: Any) -> None:
        """With enough evidence it makes no difference."""
        trim = trim and Trim(max_tokens=100)
        found = stub().rank(
            "who?", CHUNKS, on_no_evidence=on_no_evidence, evidence_threshold=0.1, trim=trim
        )
        assert len(found.chunks) == 2

    @pytest.mark.parametrize("chunks", [[], [Chunk(""), Chunk(" ")]])
    def test_nothing_to_look_at(self, trim: Trim | None, chunks: list[Chunk]) -> None:
        """No chunks are no error: there was nothing to find anything in."""
        for what in ("raise", "empty"):
            found = stub().rank("who?", chunks, on_no_evidence=what, trim=trim)
            assert (found.evidence, found.no_evidence) == (0.0, True)
            assert all(one.skipped for one in found.chunks)
            assert not any(one.dropped == "no_evidence" for one in found.dropped)


@pytest.fixture(scope="module")
def tiny_ranker() -> Callable[..., AttentionRanker]:
    """Makes rankers over one small model that differ in how they tell evidence."""
    model, tokenizer = tiny_model(), tiny_tokenizer()

    def make(rule: EvidenceRule) -> AttentionRanker:
        profile = HeadProfile("tiny", "parallel", ((1, 0),), (1.0,), evidence=rule)
        return AttentionRanker(model, tokenizer, profile=profile)

    return make


def test_in_a_batch(ranker: AttentionRanker) -> None:
    """Each query of a batch has its own evidence."""
    chunks = ["Albert Einstein", "the river"]
    found = ranker.rank_batch(["who?", "which river?"], chunks)
    for ranking in found:
        best = max(ranking.scores)
        assert ranking.evidence == pytest.approx(best / (1 + best))
