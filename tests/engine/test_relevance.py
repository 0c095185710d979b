"""What a number means: relevance and evidence over any candidates, by a small late model."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnmass import AttentionRanker, Ranking
from attnmass.engine.asking import RankOptions
from attnmass.options.choices import RetrievalKind
from attnmass.profiles import FuseRule
from attnmass.scoring.evidence import by_both
from tests.engine.relevance import HEADS, PARAGRAPHS, PROPERTY, QUERY, profile, texts
from tests.tiny import tiny_model, tiny_tokenizer

KINDS: tuple[RetrievalKind, ...] = get_args(RetrievalKind)
WEIGHTS = (0.5, 6.0, -3.0)


@pytest.fixture(scope="module")
def ranker() -> AttentionRanker:
    """One that keeps what it read."""
    return AttentionRanker(tiny_model(), tiny_tokenizer(), profile=profile(), layout="late")


@pytest.fixture(scope="module")
def scored(ranker: AttentionRanker) -> AttentionRanker:
    """One whose profile knows what cosines say."""
    rule = FuseRule((1.0, 1.0), (1.0, 1.0), (1.0, 1.0), evidence=WEIGHTS)
    return AttentionRanker(
        tiny_model(), tiny_tokenizer(), profile=profile(fusing=rule), layout="late"
    )


def by_text(ranking: Ranking, chunks: list[str]) -> dict[str, float | None]:
    """Relevance of each text."""
    return {chunks[chunk.index]: chunk.relevance for chunk in ranking.chunks}


@PROPERTY
@given(chunks=texts, seed=st.integers(0, 99))
def test_relevance_is_the_chunks_own(ranker: AttentionRanker, chunks: list[str], seed: int) -> None:
    """Alone, among any others, in any order and in any shard it is the same to the last bit."""
    ranker.warm(chunks)
    found = by_text(ranker.rank(QUERY, chunks), chunks)
    mixed = chunks.copy()
    random.Random(seed).shuffle(mixed)
    assert by_text(ranker.rank(QUERY, mixed), mixed) == found
    cut = seed % (len(chunks) + 1)
    for shard in (chunks[:cut], chunks[cut:], chunks[:1]):
        assert by_text(ranker.rank(QUERY, shard), shard).items() <= found.items()


@PROPERTY
@given(chunks=texts, more=texts)
def test_more_chunks_never_lower_evidence(
    ranker: AttentionRanker, chunks: list[str], more: list[str]
) -> None:
    """Nor does their order count, and what is below the threshold adds nothing."""
    ranker.warm([*chunks, *more])
    before, after = ranker.rank(QUERY, chunks), ranker.rank(QUERY, [*chunks, *more])
    assert after.evidence >= max(before.evidence, ranker.rank(QUERY, more).evidence)
    assert after.evidence == ranker.rank(QUERY, [*more, *chunks, *more]).evidence
    if not before.no_evidence:
        assert not after.no_evidence
    weak = [text for text in more if ranker.rank(QUERY, [text]).no_evidence]
    beside = ranker.rank(QUERY, [*chunks, *weak])
    assert beside.no_evidence == before.no_evidence
    if not before.no_evidence:
        assert beside.evidence == before.evidence


@PROPERTY
@given(chunks=texts, more=texts, kind=st.sampled_from(KINDS), data=st.data())
def test_scores_change_nothing_of_that(
    scored: AttentionRanker,
    chunks: list[str],
    more: list[str],
    kind: RetrievalKind,
    data: st.DataObject,
) -> None:
    """Nor where a retriever has scored them, however: in any order, with copies, or not all."""
    scored.warm([*chunks, *more, QUERY])
    one_score = st.one_of(
        st.none(), st.floats(-1, 1), st.just(float("nan")), st.floats(-1e300, 1e300)
    )
    scores = {one: data.draw(one_score) for one in dict.fromkeys([*chunks, *more])}

    def ranked(texts: list[str]) -> Ranking:
        of_texts = [scores[one] for one in texts]
        found = scored.rank(QUERY, texts, retrieval_scores=of_texts, retrieval_kind=kind)
        told = [chunk.score for chunk in found.chunks]
        assert told == sorted(told, reverse=True)
        return found

    before, after = ranked(chunks), ranked([*chunks, *more])
    assert after.evidence >= max(before.evidence, ranked(more).evidence)
    assert before.no_evidence or not after.no_evidence
    assert ranked([*more, *chunks][::-1]).evidence == after.evidence
    assert ranked([*chunks, *chunks]).evidence == before.evidence
    weak = [text for text in more if ranked([text]).no_evidence]
    assert before.no_evidence <= ranked([*chunks, *weak]).no_evidence
    scores |= dict.fromkeys([QUERY, QUERY.upper(), f"{QUERY} {QUERY}"], 1.0)
    assert ranked([QUERY]).no_evidence
    assert ranked([*chunks, QUERY, QUERY.upper(), f"{QUERY} {QUERY}"]).evidence == before.evidence


@pytest.mark.parametrize("chunks", [[], ["", " \n"], [None]])
def test_nothing_to_read_is_no_evidence(ranker: AttentionRanker, chunks: list[Any]) -> None:
    """So that a chunk that is below the threshold turns no evidence into none."""
    found = ranker.rank(QUERY, chunks)
    assert (found.evidence, found.no_evidence) == (0.0, True)
    assert ranker.rank(QUERY, [*chunks, PARAGRAPHS[0]]).no_evidence


def test_what_seem_distances_are_told_of(scored: AttentionRanker) -> None:
    """Where the order takes scores for distances and evidence counts them, a note says so."""
    texts = PARAGRAPHS[:4]
    order = [chunk.index for chunk in scored.rank(QUERY, texts).chunks]
    rising = [0.2, 0.3, 0.4, 0.5]
    worst_first = [texts[index] for index in reversed(order)]  # as attention has it
    noted = scored.rank(QUERY, worst_first[::-1], retrieval_scores=rising)
    (note,) = noted.notes
    assert "retrieval_kind='distance'" in note
    assert scored.rank(QUERY, worst_first, retrieval_scores=rising).notes == ()  # no distances
    for options in (
        {"retrieval_kind": "distance"},
        {"retrieval_kind": "similarity"},
        {"fuse": None},
    ):
        told: RankOptions = options  # type: ignore[assignment]
        assert scored.rank(QUERY, worst_first[::-1], retrieval_scores=rising, **told).notes == ()
    beyond = [1.2, 1.3, 1.4, 1.5]  # has no part in evidence
    assert scored.rank(QUERY, worst_first[::-1], retrieval_scores=beyond).notes == ()


def test_without_relevance_nothing_is_noted(scored: AttentionRanker) -> None:
    """Where relevance is not known, evidence counts no scores, and there is nothing to tell."""
    profile = replace(scored.profile, relevance=None, background=())
    other = AttentionRanker(tiny_model(), tiny_tokenizer(), profile=profile, layout="late")
    order = [chunk.index for chunk in other.rank(QUERY, PARAGRAPHS[:4]).chunks]
    texts = [PARAGRAPHS[index] for index in order]  # best first, as distances come
    assert other.rank(QUERY, texts, retrieval_scores=[0.2, 0.3, 0.4, 0.5]).notes == ()


def test_evidence_is_told_by_both(scored: AttentionRanker) -> None:
    """By each chunk's relevance and cosine, where cosines are fused, and by relevance else."""
    assert scored.profile.relevance is not None
    rule = replace(scored.profile.relevance, coverage=0.0)
    plain = replace(scored.profile, relevance=rule)
    scored = AttentionRanker(tiny_model(), tiny_tokenizer(), profile=plain, layout="late")
    texts, cosines = PARAGRAPHS[:4], [0.7, 0.3, 0.2, -0.1]
    ranking = scored.rank(QUERY, texts, retrieval_scores=cosines)
    told = [
        by_both(chunk.relevance or 0.0, chunk.retrieval_score or 0.0, WEIGHTS)
        for chunk in ranking.chunks
    ]
    assert ranking.evidence == pytest.approx(max(told))
    alone = scored.rank(QUERY, texts)
    assert alone.evidence == max(chunk.relevance or 0.0 for chunk in alone.chunks)
    others: list[RankOptions] = [
        {"fuse": None},
        {"fuse": 0.0},
        {"retrieval_kind": "distance"},
        {"retrieval_kind": "rank"},
    ]
    for options in others:
        found = scored.rank(QUERY, texts, retrieval_scores=cosines, **options)
        assert found.evidence == alone.evidence
    given_ = [0.7, None, None, float("nan")]
    some = scored.rank(QUERY, texts, retrieval_scores=given_)
    assert some.evidence == max(
        alone_of(alone, 1), alone_of(alone, 2), alone_of(alone, 3), ranking.evidence
    )


def alone_of(ranking: Ranking, index: int) -> float:
    """The relevance of a chunk."""
    return next(chunk.relevance or 0.0 for chunk in ranking.chunks if chunk.index == index)


@PROPERTY
@given(chunks=texts, data=st.data())
def test_a_copy_changes_nothing(
    ranker: AttentionRanker, chunks: list[str], data: st.DataObject
) -> None:
    """Both copies have the score that the one had, and nobody else's number or place changes."""
    ranker.warm(chunks)
    copy = data.draw(st.sampled_from(chunks))
    before, after = ranker.rank(QUERY, chunks), ranker.rank(QUERY, [*chunks, copy])
    assert after.scores[:-1] == before.scores
    assert after.scores[-1] == before.scores[chunks.index(copy)]
    assert [c.index for c in after.chunks if c.index < len(chunks)] == [
        c.index for c in before.chunks
    ]
    assert by_text(after, [*chunks, copy]) == by_text(before, chunks)
    assert after.evidence == before.evidence


@PROPERTY
@given(chunks=texts, junk=st.lists(st.sampled_from(["", " ", "\n\t", QUERY, QUERY.upper()])))
def test_what_says_nothing_changes_nothing(
    ranker: AttentionRanker, chunks: list[str], junk: list[str]
) -> None:
    """Blank chunks, and such as only repeat the question, are worth 0 and take from nobody."""
    ranker.warm(chunks)
    before, after = ranker.rank(QUERY, chunks), ranker.rank(QUERY, [*chunks, *junk])
    found = {chunk.index: chunk for chunk in after.chunks}
    assert [found[i].relevance for i in range(len(chunks), len(after.scores))] == [0.0] * len(junk)
    assert by_text(before, chunks).items() <= by_text(after, [*chunks, *junk]).items()
    assert after.evidence == before.evidence


@PROPERTY
@given(
    chunks=texts,
    junk=st.lists(st.sampled_from(["", "\n\t", QUERY, QUERY.upper(), f"{QUERY} {QUERY}"])),
    seed=st.integers(0, 99),
    fuse=st.sampled_from(["auto", None, 0.0, 0.5, 1.0]),
)
def test_what_says_nothing_is_last_whatever_a_retriever_says(
    scored: AttentionRanker, chunks: list[str], junk: list[str], seed: int, fuse: Any
) -> None:
    """Its cosine is the question's own; the others keep their order, scores and evidence."""
    scored.warm(chunks)
    cosines = [random.Random(seed + i).random() for i in range(len(chunks))]
    told: dict[str, Any] = {"fuse": fuse, "retrieval_kind": "similarity"}
    before = scored.rank(QUERY, chunks, retrieval_scores=cosines, **told)
    given = [*cosines, *([1.0] * len(junk))]
    after = scored.rank(QUERY, [*chunks, *junk], retrieval_scores=given, **told)
    ranks = [chunk.index for chunk in before.chunks if not chunk.skipped]
    assert [chunk.index for chunk in after.chunks][: len(ranks)] == ranks
    assert after.scores == (*before.scores, *([0.0] * len(junk)))
    assert after.evidence == before.evidence


def test_score_never_rises_down_the_list(ranker: AttentionRanker) -> None:
    """Fused or not, by whatever rule, the order is by score."""
    chunks = PARAGRAPHS[:12]
    given_ = [random.Random(i).random() for i in range(12)]
    for options in ({}, {"fuse": 0.5}, {"fuse": 1.0}, {"fuse": None}):
        found = ranker.rank(QUERY, chunks, retrieval_scores=given_, **options)  # type: ignore[arg-type]
        scores = [chunk.score for chunk in found.chunks]
        assert scores == sorted(scores, reverse=True)
        assert all(0 <= score <= 1 for score in scores)


def test_relevance_from_a_store_and_another_process(tmp_path: Path) -> None:
    """A store that another ranker filled gives the same numbers to the last bit."""
    options: dict[str, Any] = {"profile": profile(), "layout": "late", "store": tmp_path}
    chunks = PARAGRAPHS[:10]
    first = AttentionRanker(tiny_model(), tiny_tokenizer(), **options)
    cold = by_text(first.rank(QUERY, chunks), chunks)
    again = AttentionRanker(tiny_model(), tiny_tokenizer(), **options)
    assert by_text(again.rank(QUERY, chunks[::-1]), chunks[::-1]) == cold
    assert again.stats.tokens_encoded == 0


def test_other_batches_move_it_by_rounding() -> None:
    """Read afresh beside other chunks, relevance differs by what fp32 rounds."""
    chunks = PARAGRAPHS[:10]
    found = []
    for size in (1, 3, 10):
        ranker = AttentionRanker(
            tiny_model(), tiny_tokenizer(), profile=profile(), layout="late", batch_size=size
        )
        found.append(by_text(ranker.rank(QUERY, chunks), chunks))
    for text, relevance in found[0].items():
        for other in found[1:]:
            assert other[text] == pytest.approx(relevance, abs=2e-3)


def test_a_chunk_in_two_keeps_its_evidence(ranker: AttentionRanker) -> None:
    """Of two halves the better is worth nearly what the whole is, and never much more."""
    for text in PARAGRAPHS[:10]:
        half = text.index(" ", len(text) // 2)
        whole, *parts = (
            ranker.rank(QUERY, [one]).evidence for one in (text, text[:half], text[half:])
        )
        assert max(parts) <= whole + 0.1


def test_windows_count_each_token_once(ranker: AttentionRanker) -> None:
    """A chunk that is read in windows has about the relevance of the whole.

    Not more exactly: a model of random weights makes much of what stands before a token.
    """
    text = " ".join(PARAGRAPHS[:3])
    whole = ranker.rank(QUERY, [text]).evidence
    cut = AttentionRanker(
        tiny_model(), tiny_tokenizer(), profile=profile(), layout="late", max_chunk_tokens=300
    )
    found = cut.rank(QUERY, [text])
    assert found.split
    assert found.evidence == pytest.approx(whole, abs=0.1)


def test_min_relevance(ranker: AttentionRanker) -> None:
    """Chunks of less are dropped for it, when that is asked for and not else."""
    chunks = PARAGRAPHS[:12]
    everything = ranker.rank(QUERY, chunks)
    assert not everything.dropped
    middle = sorted(chunk.relevance or 0.0 for chunk in everything.chunks)[6]
    found = ranker.rank(QUERY, chunks, min_relevance=middle)
    assert all((chunk.relevance or 0.0) >= middle for chunk in found.chunks)
    assert {chunk.dropped for chunk in found.dropped} == {"min_relevance"}
    assert len(found.chunks) == 6
    assert found.scores == everything.scores


def test_layouts_that_cannot_know_it() -> None:
    """Asked for relevance they say which layout can; by default they leave nothing out."""
    parallel = AttentionRanker(tiny_model(), tiny_tokenizer(), heads=HEADS, layout="parallel")
    found = parallel.rank(QUERY, PARAGRAPHS[:3])
    assert [chunk.relevance for chunk in found.chunks] == [None] * 3
    with pytest.raises(ValueError, match=r"min_relevance=0.5 needs relevance.*layout='late'"):
        parallel.rank(QUERY, PARAGRAPHS[:3], min_relevance=0.5)
