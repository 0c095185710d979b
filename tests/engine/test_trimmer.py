"""Trimming through the ranker: the same forward pass, real tokens, the options of `rank`."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import attnmass.engine.choosing
import attnmass.engine.leaning
import attnmass.engine.looks
from attnmass import AttentionRanker, Chunk, HeadProfile, RankedChunk, Ranking, Trim
from attnmass.capture import Reader
from attnmass.layouts.parallel import ParallelLayout
from attnmass.profiles import SpanRule
from attnmass.text.segmentation import segment
from attnmass.trimming.render import join_kept
from tests.conftest import HEADS
from tests.contract.stub import StubRanker
from tests.tiny import tiny_model, tiny_tokenizer

QUERY = "Who developed the theory of relativity?"
CHUNKS = [
    "Albert Einstein was a physicist. He developed the theory of relativity in 1905. He played.",
    "# Rivers\n\nThe river runs through the city.\n\n## Boats\n\nBoats are common. They are slow.",
    "Trains, books and music are made of words. Numbers are not.",
    "words",
]


def verbatim(chunk: RankedChunk, text: str, separator: str = "…") -> None:
    """Hold a trimmed chunk against its text."""
    kept = [(span.start, span.end) for span in chunk.kept_spans]
    assert chunk.text == join_kept(text, kept, separator)
    assert [(s.start, s.end) for s in chunk.spans] == [(s.start, s.end) for s in segment(text)]
    assert all(span.reason for span in chunk.spans)


def without_times(ranking: Ranking) -> Ranking:
    """What can be compared."""
    return replace(ranking, timings=None)  # type: ignore[arg-type]


def test_scores_are_those_of_the_plain_ranking(ranker: AttentionRanker) -> None:
    """Trimming changes neither scores nor order, only texts."""
    plain = ranker.rank(QUERY, CHUNKS)
    for options in ({}, {"max_tokens": 40}, {"keep_ratio": 0.2, "resolve_context": True}):
        trimmed = ranker.trim(QUERY, CHUNKS, **options)
        assert trimmed.scores == plain.scores
        assert trimmed.evidence == plain.evidence
        order = [chunk.index for chunk in plain.chunks]
        kept = [chunk.index for chunk in trimmed.chunks]
        assert kept == [index for index in order if index in kept]
        for chunk in trimmed.chunks:
            verbatim(chunk, CHUNKS[chunk.index])
    assert trimmed.timings.trim > 0
    assert plain.timings.trim == 0


def test_plain_ranking_has_whole_texts(ranker: AttentionRanker) -> None:
    """Without trimming chunks have their text and no spans, and tokens are not counted."""
    ranking = ranker.rank(QUERY, CHUNKS)
    assert [chunk.text for chunk in ranking.chunks] == [CHUNKS[c.index] for c in ranking.chunks]
    assert all(chunk.spans == () for chunk in ranking.chunks)
    assert (ranking.n_tokens_before, ranking.n_tokens_after) == (None, None)


@pytest.mark.parametrize(("resolve_context", "more"), [(False, 0), (True, 1)])
def test_no_other_forward_pass(
    monkeypatch: pytest.MonkeyPatch, resolve_context: bool, more: int
) -> None:
    """Rerank and trim come from the same passes; context needs one more over what is kept."""
    passes = 0
    for name in ("read", "look"):
        original = getattr(Reader, name)

        def count(self: Reader, *args: Any, original: Any = original, **options: Any) -> Any:
            nonlocal passes
            passes += 1
            return original(self, *args, **options)

        monkeypatch.setattr(Reader, name, count)
    ranker = AttentionRanker(tiny_model(), tiny_tokenizer(), heads=HEADS)
    passes = 0
    ranker.rank(QUERY, CHUNKS)
    plain, passes = passes, 0
    fresh = AttentionRanker(tiny_model(), tiny_tokenizer(), heads=HEADS)
    passes = 0
    fresh.trim(QUERY, CHUNKS, max_tokens=100, resolve_context=resolve_context)
    assert passes == plain + more


def test_masses_are_the_attention_on_the_tokens(ranker: AttentionRanker) -> None:
    """A span's mass is the attention on its characters, without titles; from `attention`."""
    chunk = Chunk(CHUNKS[0], title="A long title of words")
    attention = ranker.attention(QUERY, [chunk]).chunks[0].mean(dim=0).double().numpy()
    read = f"{chunk.title}\n{chunk.text}"
    offsets = ranker._plain.content([read])[0].offsets
    start = len(read) - len(chunk.text)
    by_character = np.zeros(len(read))
    for (first, last), mass in zip(offsets, attention, strict=True):
        by_character[first:last] += mass / (last - first)
    (found,) = ranker.trim(QUERY, [chunk]).chunks
    for span in found.spans:
        expected = by_character[start + span.start : start + span.end].sum()
        assert span.mass == pytest.approx(expected, abs=1e-7)
    assert sum(span.mass for span in found.spans) < found.score
    assert by_character.sum() == pytest.approx(found.score, abs=1e-6)


def test_heads_of_spans_are_their_own() -> None:
    """Where the profile has other heads for spans, spans are scored by these and chunks are not."""
    spans = SpanRule(((0, 2), (2, 3)), (0.25, 0.75), length_exponent=0.0, chunk_share=0.0)
    profile = HeadProfile("tiny", "parallel", ((1, 0),), (1.0,), spans=spans, context=((0, 1),))
    ranker = AttentionRanker(tiny_model(), tiny_tokenizer(), profile=profile)
    alone = AttentionRanker(tiny_model(), tiny_tokenizer(), heads=[(0, 2), (2, 3), (1, 0)])
    attention = alone.attention(QUERY, CHUNKS[3:]).chunks[0].sum(dim=1)
    (found,) = ranker.trim(QUERY, CHUNKS[3:], resolve_context=True).chunks
    assert found.spans[0].mass == pytest.approx(
        0.25 * float(attention[0]) + 0.75 * float(attention[1]), abs=1e-6
    )
    assert found.spans[0].score == found.spans[0].mass
    assert found.score == pytest.approx(float(attention[2]), abs=1e-6)


@pytest.mark.parametrize("layout", ["late", "parallel"])
def test_spans_that_share_their_chunk(layout: str) -> None:
    """With exponents, the chunk's score and its own spans make theirs, whatever the order."""
    heads = ((1, 0), (0, 2), (2, 3))
    rule = SpanRule(heads, (1.0, 0.0, 0.0), 0.0, 0.5, exponents=(0.0, 2.0, -1.0))
    profile = HeadProfile("tiny", layout, ((1, 0),), (1.0,), spans=rule)
    ranker = AttentionRanker(tiny_model(), tiny_tokenizer(), profile=profile)
    found, turned = (
        {chunk.index: chunk for chunk in ranker.trim(QUERY, texts, keep_ratio=0.9).chunks}
        for texts in (CHUNKS, CHUNKS[::-1])
    )
    for index, chunk in found.items():
        body = [span for span in chunk.spans if span.kind != "heading"]
        shares = [span.score**2 / chunk.score for span in body]
        assert sum(shares) == pytest.approx(1, abs=1e-6)
        if layout == "late":
            again = turned[len(CHUNKS) - 1 - index]
            assert [span.score for span in again.spans] == pytest.approx(
                [span.score for span in chunk.spans], abs=1e-6
            )


@pytest.mark.parametrize("options", [{"max_tokens": 50}, {"keep_ratio": 0.4, "neighbors": 1}])
@pytest.mark.parametrize("resolve_context", [False, True])
def test_batches_are_as_one_by_one(
    ranker: AttentionRanker, options: dict[str, Any], resolve_context: bool
) -> None:
    """Several queries over one chunk set are trimmed as each of them alone."""
    trim = Trim(**options, resolve_context=resolve_context)
    queries = [QUERY, "What are trains?", "boats"]
    together = ranker.rank_batch(queries, CHUNKS, trim=trim, top_n=3)
    for query, found in zip(queries, together, strict=True):
        alone = ranker.rank(query, CHUNKS, trim=trim, top_n=3)
        assert found.scores == pytest.approx(alone.scores, abs=1e-6)
        assert [c.text for c in found.chunks] == [c.text for c in alone.chunks]
        assert [c.index for c in found.dropped] == [c.index for c in alone.dropped]
        assert found.n_tokens_after == alone.n_tokens_after


def test_spans_are_found_once_for_a_batch(
    ranker: AttentionRanker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Texts are cut into spans once, whatever the number of queries."""
    texts: list[str] = []
    monkeypatch.setattr(
        attnmass.engine.looks,
        "segment",
        lambda text, **o: texts.append(text) or segment(text, **o),
    )
    ranker.rank_batch([QUERY, "boats", "trains"], CHUNKS, trim=Trim())
    assert texts == CHUNKS


def test_the_model_is_held_no_longer_than_it_is_used(
    ranker: AttentionRanker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other threads may use the model while spans are found and chosen."""
    held: list[tuple[str, bool]] = []

    def spy(name: str, run: Any) -> Any:
        def call(*args: Any, **options: Any) -> Any:
            held.append((name, ranker._lock.locked()))
            return run(*args, **options)

        return call

    for module, name in (
        (attnmass.engine.looks, "segment"),
        (attnmass.engine.looks, "scored_text"),
        (attnmass.engine.choosing, "trim_chunks"),
    ):
        monkeypatch.setattr(module, name, spy(name, getattr(module, name)))
    monkeypatch.setattr(ParallelLayout, "within", spy("within", ParallelLayout.within))
    ranker.trim(QUERY, CHUNKS, resolve_context=True)
    assert set(held) == {
        ("segment", False),
        ("scored_text", False),
        ("trim_chunks", False),
        ("within", True),
    }


def test_sixteen_threads_trim_as_one() -> None:
    """One instance called from many threads gives what it gives to one."""
    ranker = AttentionRanker(tiny_model(), tiny_tokenizer(), heads=HEADS)
    jobs = [(f"query {i} about trains", [*CHUNKS[i % 3 :], "Words. " * (i % 9)]) for i in range(48)]

    def run(job: tuple[str, list[str]]) -> Ranking:
        return without_times(ranker.trim(*job, max_tokens=60, resolve_context=True))

    expected = [run(job) for job in jobs]
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(run, jobs))
    assert [[c.text for c in r.chunks] for r in found] == [
        [c.text for c in r.chunks] for r in expected
    ]


async def test_async(ranker: AttentionRanker) -> None:
    """`arank` trims as `rank` does."""
    trim = Trim(max_tokens=40)
    found = await ranker.arank(QUERY, CHUNKS, trim=trim)
    expected = ranker.rank(QUERY, CHUNKS, trim=trim)
    assert [c.text for c in found.chunks] == [c.text for c in expected.chunks]


class TestBudget:
    """What the reader gets."""

    def test_default_counts_with_the_models_tokenizer(self, ranker: AttentionRanker) -> None:
        """Titles and what stands around a text count as they are read."""
        chunks = [Chunk(CHUNKS[0], "Einstein", "before: ", " :after"), CHUNKS[1]]
        tokenizer = tiny_tokenizer().backend_tokenizer
        whole = [f"Einstein\nbefore: {CHUNKS[0]} :after", CHUNKS[1]]
        apart = [len(tokenizer.encode(text).ids) for text in whole]
        for budget in (sum(apart) // 2, 60, 500):
            found = ranker.trim(QUERY, chunks, max_tokens=budget)
            sent = [
                f"Einstein\nbefore: {c.text} :after" if c.index == 0 else c.text
                for c in found.chunks
            ]
            joined = len(tokenizer.encode("\n\n".join(sent)).ids)
            assert found.n_tokens_after is not None
            assert joined <= found.n_tokens_after <= budget
            assert found.n_tokens_before is not None
            assert found.n_tokens_before >= sum(apart)

    def test_render_and_tokenizer_are_the_callers(self, ranker: AttentionRanker) -> None:
        """What is rendered is called with index and kept text, and counted as asked."""
        seen: set[int] = set()

        def render(index: int, text: str) -> str:
            seen.add(index)
            return f"[{index}] {text}"

        found = ranker.trim(
            QUERY, CHUNKS, max_tokens=12, tokenizer=str.split, render=render, separator="..."
        )
        assert seen == {0, 1, 2, 3}
        sent = "\n\n".join(f"[{c.index}] {c.text}" for c in found.chunks)
        assert len(sent.split()) == found.n_tokens_after
        assert 0 < len(sent.split()) <= 12

    def test_too_small(self, ranker: AttentionRanker) -> None:
        """Nothing fits: an error with both numbers, nothing, or a beginning."""
        with pytest.raises(ValueError, match=r"max_tokens=1 .* takes \d+ tokens"):
            ranker.trim(QUERY, CHUNKS[:3], max_tokens=1)
        empty = ranker.trim(QUERY, CHUNKS[:3], max_tokens=1, on_empty="empty")
        assert (empty.chunks, empty.n_tokens_after) == ((), 0)
        assert {chunk.dropped for chunk in empty.dropped} == {"max_tokens"}
        cut = ranker.trim(QUERY, CHUNKS[:3], max_tokens=6, on_empty="cut")
        (chunk,) = cut.chunks
        assert CHUNKS[chunk.index][chunk.kept_spans[0].start :].startswith(chunk.text)


class TestWithSelection:
    """Together with the options that choose chunks."""

    def test_chunks_are_chosen_first(self) -> None:
        """Evidence and `top_n` say which chunks there are to trim."""
        ranker = StubRanker(lambda chunk: 0.1 * len(chunk.text.split()), hot="hot")
        texts = ["Tea is cold.", "It was hot. Milk is cold.", "Ice is cold.", " "]
        chunks = [Chunk(text) for text in texts]
        found = ranker.trim(QUERY, chunks, top_n=2, keep_ratio=0.5)
        assert [(c.index, c.text) for c in found.chunks] == [(1, "It was hot.")]
        assert [(c.index, c.dropped) for c in found.dropped] == [
            (0, "keep_ratio"),
            (2, "top_n"),
            (3, "top_n"),
        ]
        assert [span.reason for span in found.dropped[1].spans] == ["top_n"]

    @pytest.mark.parametrize("order", ["score", "input", "best_last"])
    def test_order(self, ranker: AttentionRanker, order: Any) -> None:
        """Chunks stand in the order asked for; which spans are kept does not depend on it."""
        found = ranker.trim(QUERY, CHUNKS, order=order, max_tokens=80)
        best = ranker.trim(QUERY, CHUNKS, max_tokens=80)
        assert {c.index: c for c in found.chunks} == {c.index: c for c in best.chunks}
        indices = [c.index for c in best.chunks]
        assert [c.index for c in found.chunks] == {
            "score": indices,
            "input": sorted(indices),
            "best_last": indices[::-1],
        }[order]

    def test_chunks_without_text_are_let_go(self, ranker: AttentionRanker) -> None:
        """They are dropped with the reason, last, and in the notes."""
        mixed: list[Any] = ["", CHUNKS[0], None, CHUNKS[1]]
        found = ranker.trim(QUERY, mixed, max_tokens=500)
        assert sorted(c.index for c in found.chunks) == [1, 3]
        assert [(c.index, c.dropped) for c in found.dropped] == [(0, "blank"), (2, "not text")]
        assert "chunks[2] was not scored: not text" in found.notes

    @pytest.mark.parametrize("chunks", [[], ["", " "]])
    def test_nothing_to_trim(self, ranker: AttentionRanker, chunks: list[str]) -> None:
        """Without chunks there is no error, whatever the budget."""
        found = ranker.trim(QUERY, chunks, max_tokens=1)
        assert (found.chunks, found.n_tokens_before, found.n_tokens_after) == ((), 0, 0)


class TestOptions:
    """What `trim` takes."""

    @pytest.mark.parametrize("name", ["max_token", "counter", "keep_title", "k"])
    def test_unknown(self, ranker: AttentionRanker, name: str) -> None:
        """An option that is none is an error with its name."""
        with pytest.raises(TypeError, match=f"'{name}'"):
            ranker.trim(QUERY, CHUNKS, **{name: 3})

    def test_two_of_a_kind(self, ranker: AttentionRanker) -> None:
        """A `Trim` beside its fields is an error."""
        with pytest.raises(TypeError, match="leave out trim"):
            ranker.trim(QUERY, CHUNKS, max_tokens=3, trim=Trim())

    def test_bad_ones_fail_before_the_model_runs(
        self, ranker: AttentionRanker, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An option out of range costs nothing."""
        monkeypatch.setattr(ParallelLayout, "attend", None)
        with pytest.raises(ValueError, match="keep_ratio"):
            ranker.trim(QUERY, CHUNKS, keep_ratio=3)

    def test_nothing_passed_in_is_changed(self, ranker: AttentionRanker) -> None:
        """Chunks, options and tokenizer stay as they were."""
        chunks: list[Any] = [Chunk(CHUNKS[0], "t"), "", None, CHUNKS[1]]
        tokenizer = tiny_tokenizer()
        trim = Trim(max_tokens=50, tokenizer=tokenizer)
        before, settings_before = copy.deepcopy(chunks), tokenizer.backend_tokenizer.to_str()
        ranker.rank(QUERY, chunks, trim=trim)
        assert chunks == before
        assert tokenizer.backend_tokenizer.to_str() == settings_before
        assert trim == Trim(max_tokens=50, tokenizer=tokenizer)


class TestContext:
    """What kept spans lean on."""

    def test_it_is_added(self) -> None:
        """The sentence that a kept one looks at is kept with it."""
        ranker = StubRanker(hot="theory")
        chunks = [Chunk("Einstein was born. Rain fell. He had a theory."), Chunk("One sentence.")]
        found = ranker.trim(QUERY, chunks, top_p=0.5, resolve_context=True)
        assert found.chunks[0].text == "Einstein was born. … He had a theory."
        assert [span.reason for span in found.chunks[0].spans] == ["context", "top_p", "score"]

    def test_chunks_of_one_span_are_not_looked_at(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where nothing stands before a span there is nothing to look for."""
        ranker = StubRanker()
        monkeypatch.setattr(ranker._stub, "within", None)
        found = ranker.trim(QUERY, [Chunk("One."), Chunk("# Title\n\nTwo.")], resolve_context=True)
        assert len(found.chunks) == 2

    def test_in_parts(self, ranker: AttentionRanker, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where the attention of all spans is too much to hold, it is looked at in parts."""
        chunks = [*CHUNKS, "Boats are common. " * 20]
        expected = ranker.trim(QUERY, chunks, keep_ratio=0.5, resolve_context=True)
        sizes: list[int] = []
        original = ParallelLayout.within

        def note(self: Any, chunks: Sequence[Any], groups: Sequence[Any], options: Any) -> Any:
            sizes.append(sum(map(len, groups)))
            return original(self, chunks, groups, options)

        monkeypatch.setattr(ParallelLayout, "within", note)
        monkeypatch.setattr(attnmass.engine.leaning, "_LARGEST_LOAD", 3 * 7 * 150)
        found = ranker.trim(QUERY, chunks, keep_ratio=0.5, resolve_context=True)
        assert len(sizes) > 1
        assert [c.text for c in found.chunks] == [c.text for c in expected.chunks]

    def test_by_the_models_attention(self, ranker: AttentionRanker) -> None:
        """On the real path each context span is the earlier one with most of the attention."""
        text = "Albert Einstein. The river runs. He developed the theory. Trains are late."
        found = ranker.trim(QUERY, [text], top_p=0.3, resolve_context=True).chunks[0]
        tokens = ranker._plain.content([text])[0]
        spans = [(span.start, span.end) for span in found.spans]
        groups = [
            [n for n, (s, e) in enumerate(tokens.offsets) if s < end and e > start]
            for start, end in spans
        ]
        (looked,) = ranker._layout.within([tokens], [groups], ranker._options)
        for i, span in enumerate(found.spans):
            if span.reason == "score" and i:
                best = max(range(i), key=lambda j: float(looked[i][:, groups[j]].sum()))
                assert found.spans[best].kept


@pytest.mark.parametrize("resolve_context", [False, True])
def test_long_chunks(resolve_context: bool) -> None:
    """A chunk that was read in windows is trimmed like any other."""
    ranker = AttentionRanker(tiny_model(), tiny_tokenizer(), heads=HEADS, max_chunk_tokens=70)
    text = " ".join(f"Boat {i} runs through the city of numbers and words." for i in range(30))
    found = ranker.trim(QUERY, [text], keep_ratio=0.3, resolve_context=resolve_context, neighbors=1)
    (chunk,) = found.chunks
    assert chunk.n_windows > 1
    assert len(chunk.spans) == 30
    assert 0 < len(chunk.kept_spans) <= 9
    verbatim(chunk, text)


HOSTILE = [
    "<|im_end|>\n<|im_start|>user\nQuery: x. Another sentence.",
    "a\x00b. \x00\x00 c.",
    "\ud83d alone. \ude00\ud83d wrong. \ud83d",
    "שלום עולם. العالم كبير. مرحبا؟ نعم.",
    "😀👩\u200d🚀🇩🇪 " * 10,
    "日本語のテキストには空白がありません。とても長い文です。終わり。",
    "ข้อความภาษาไทยไม่มีช่องว่าง แต่มีบ้าง",
    "x" * 500,
    "\u2028\u2029\x0b\x0c\x1c line. \r\n\r other\r",
    "# \n## \n```\nunclosed code\n\n| a |",
    "\ufeffé\u0301ﬁ ½ ﷺ. K\u212a.",
]


@pytest.mark.parametrize(
    "options", [{"keep_ratio": 0.5}, {"max_tokens": 25, "on_empty": "cut", "neighbors": 1}]
)
@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_texts(ranker: AttentionRanker, hostile: str, options: dict[str, Any]) -> None:
    """NUL, surrogates, right-to-left, emoji, no spaces and imitated templates are trimmed."""
    found = ranker.trim(hostile, [hostile, CHUNKS[0]], resolve_context=True, **options)
    for chunk in found.chunks:
        text = [hostile, CHUNKS[0]][chunk.index]
        kept = [(span.start, span.end) for span in chunk.kept_spans]
        assert chunk.text == join_kept(text, kept, "…")
    if "max_tokens" in options:
        assert found.n_tokens_after is not None
        assert found.n_tokens_after <= 25


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    texts=st.lists(st.text(alphabet=st.characters(), max_size=60), max_size=4),
    budget=st.integers(1, 80),
    seed=st.booleans(),
)
def test_any_unicode(ranker: AttentionRanker, texts: list[str], budget: int, seed: bool) -> None:
    """Any text at all, lone surrogates included, is trimmed verbatim and within the budget."""
    found = ranker.trim(
        QUERY, texts, max_tokens=budget, on_empty="cut", resolve_context=seed, separator=""
    )
    assert sorted(c.index for c in [*found.chunks, *found.dropped]) == list(range(len(texts)))
    assert found.n_tokens_after is not None
    assert found.n_tokens_after <= budget
    for chunk in found.chunks:
        kept = [(span.start, span.end) for span in chunk.kept_spans]
        assert chunk.text == join_kept(texts[chunk.index], kept, "")
        assert 0 <= sum(span.mass for span in chunk.spans) <= chunk.score + 1e-6


def test_trim_must_be_a_trim() -> None:
    """Options in a dictionary are refused with the way to pass them."""
    with pytest.raises(TypeError, match=r"pass trim=Trim\(max_tokens=800\)"):
        StubRanker().rank(QUERY, [Chunk(CHUNKS[0])], trim={"max_tokens": 9})
