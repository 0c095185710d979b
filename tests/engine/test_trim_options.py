"""Trimming through the ranker: budgets, options, and what kept spans lean on."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import pytest

import attnmass.engine.choosing
import attnmass.engine.leaning
import attnmass.engine.looks
from attnmass import AttentionRanker, Chunk, Trim
from attnmass.layouts.parallel import ParallelLayout
from tests.contract.stub import StubRanker
from tests.engine.to_trim import CHUNKS, QUERY
from tests.tiny import tiny_tokenizer


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


def test_trim_must_be_a_trim() -> None:
    """Options in a dictionary are refused with the way to pass them."""
    with pytest.raises(TypeError, match=r"pass trim=Trim\(max_tokens=800\)"):
        StubRanker().rank(QUERY, [Chunk(CHUNKS[0])], trim={"max_tokens": 9})
