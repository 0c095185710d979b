"""The choice of spans over thousands of random cases, by readers of every kind."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from attnmass import Trim
from attnmass.trimming import TokenCounter
from attnmass.trimming.candidates import Candidate, Choice, Place
from attnmass.trimming.render import join_kept
from attnmass.trimming.select import choose
from tests.trimming.build import (
    Tiktoken,
    bpe,
    candidate,
    chosen,
    not_additive,
    sentencepiece_bpe,
    unigram,
    wordpiece,
    words,
)
from tests.trimming.random_chunks import chunks, requests
from tests.trimming.slow import (
    Count,
    alike,
    listed,
    span_text,
    titles_of,
    total,
    within_top_p,
)


@dataclass(frozen=True)
class Reader:
    """A tokenizer as a caller passes it, and its count as worked out without our counter.

    Attributes:
        tokenizer: What is passed.
        count: Tokens of a text.
        merges: By how many tokens the whole may take less than what was reckoned of its parts;
            `None` where nothing is known of the whole by its parts.
    """

    tokenizer: Any
    count: Count
    merges: int | None = 0


def _ids(tokenizer: Any) -> Count:
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)


READERS = {
    "characters": Reader(len, len),
    "words": Reader(words, words, 1),  # scripts without spaces run into the mark of a gap
    "byte-level BPE": Reader(bpe(), _ids(bpe()), 3),
    "SentencePiece BPE": Reader(sentencepiece_bpe(), _ids(sentencepiece_bpe()), 3),
    "Unigram": Reader(unigram(), _ids(unigram()), 3),
    "WordPiece": Reader(wordpiece(), _ids(wordpiece())),
    "tiktoken": Reader(Tiktoken(), lambda text: len(Tiktoken().encode_ordinary(text)), 2),
    "not additive": Reader(not_additive, not_additive, None),
}


@dataclass(frozen=True)
class Case:
    """One choice and all that led to it."""

    several: list[Candidate]
    trim: Trim
    reader: Reader
    choice: Choice

    @property
    def kept(self) -> list[Place]:
        """The kept spans."""
        return [
            (c, i)
            for c, spans in enumerate(self.choice.kept)
            for i, span in enumerate(spans)
            if span
        ]

    def reason(self, place: Place) -> str:
        """Why a span is kept or dropped."""
        return self.choice.reasons[place[0]][place[1]]

    def total(self, kept: Any) -> int:
        """What spans take together."""
        return total(self.several, kept, self.trim, self.reader.count)


def case(name: str, seed: int, **more: Any) -> Case:
    """A random case for a reader."""
    reader = READERS[name]
    several = chunks(Random(seed))
    options = {"on_empty": "empty", **requests(Random(~seed)), **more}
    trim = Trim(**options, tokenizer=reader.tokenizer)
    return Case(several, trim, reader, choose(several, trim, TokenCounter(reader.tokenizer)))


@pytest.mark.parametrize("on_empty", ["empty", "cut"])
@pytest.mark.parametrize("name", READERS)
@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_the_ceiling_holds(name: str, on_empty: str, seed: int) -> None:
    """What is rendered of all kept chunks never takes more, joined or apart, and is told."""
    found = case(name, seed, on_empty=on_empty)
    count = found.reader.count
    pairs = zip(found.several, found.choice.texts, strict=True)
    sent = [chunk.render(text) for chunk, text in pairs if text]
    joined, apart = count("\n\n".join(sent)) if sent else 0, sum(map(count, sent))
    assert found.choice.n_tokens == max(joined, apart)
    if found.trim.max_tokens is not None:
        assert max(joined, apart) <= found.trim.max_tokens


@pytest.mark.parametrize("name", [name for name in READERS if READERS[name].merges is not None])
@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32))
@example(seed=1441152)
def test_the_budget_is_used(name: str, seed: int) -> None:
    """No span that was dropped for the ceiling would fit, with its headings, beside what is kept.

    But for the few tokens that the whole takes less than its parts, where a tokenizer merges.
    """
    found = case(name, seed)
    kept = found.kept
    for c, reasons in enumerate(found.choice.reasons):
        for i, why in enumerate(reasons):
            if why == "max_tokens":
                with_it = {*kept, *titles_of(found.several, found.trim, (c, i)), (c, i)}
                assert found.trim.max_tokens is not None
                assert found.total(with_it) > found.trim.max_tokens - (found.reader.merges or 0)


@pytest.mark.parametrize("name", [name for name in READERS if READERS[name].merges is not None])
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_nine_tenths_are_used_where_there_is_enough(name: str, seed: int) -> None:
    """Where a tenth of the budget holds any span with its metadata, nine tenths are used."""
    random = Random(seed)
    several = []
    for index in range(30):
        text = " ".join(
            f"River {index} {n} " + " ".join(["river"] * random.randint(1, 10)) + "."
            for n in range(10)
        )
        scores = [random.random() for _ in range(10)]
        several.append(candidate(text, scores, render=lambda t: f"page 3\n{t}", index=index))
    count = READERS[name].count
    dearest = max(
        count(chunk.render(chunk.text[s.start : s.end]))
        for chunk in several
        for s in chunk.segments
    )
    budget = 10 * (dearest + 2)
    found = chosen(several, READERS[name].tokenizer, max_tokens=budget)
    assert 0.9 * budget < found.n_tokens <= budget


@pytest.mark.parametrize("name", ["byte-level BPE", "characters", "not additive"])
@pytest.mark.parametrize("on_empty", ["empty", "cut"])
@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_what_is_kept(name: str, on_empty: str, seed: int) -> None:
    """Kept spans are those of the text, in order, apart, and make the kept text."""
    found = case(name, seed, on_empty=on_empty)
    for chunk, spans, text in zip(
        found.several, found.choice.kept, found.choice.texts, strict=True
    ):
        kept = [(s, place) for s, place in zip(chunk.segments, spans, strict=True) if place]
        assert join_kept(chunk.text, [place for _, place in kept], found.trim.separator) == text
        at = 0
        for segment, (start, end) in kept:
            assert at <= start == segment.start < end <= segment.end
            assert end == segment.end or (on_empty == "cut" and len(found.kept) == 1)
            at = end


@pytest.mark.parametrize("name", ["byte-level BPE", "characters"])
@settings(max_examples=250, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_every_span_says_why(name: str, seed: int) -> None:
    """Each span has a reason, and it is so."""
    found = case(name, seed)
    trim, several, kept = found.trim, found.several, found.kept
    places = listed(several, trim)
    last = within_top_p(several, trim, places)
    allowed = set(places[:last])
    score = {place for place in kept if found.reason(place) == "score"}
    assert len(found.choice.reasons) == len(several)
    for c, chunk in enumerate(several):
        assert len(found.choice.reasons[c]) == len(chunk.segments)
        mine = sorted(i for d, i in places if d == c)
        for i in range(len(chunk.segments)):
            why = found.reason((c, i))
            if (c, i) not in kept:
                assert why in {"max_tokens", "keep_ratio", "top_p", "title", "duplicate"}
                assert why in {"title", "duplicate"} or getattr(trim, why) is not None
                if why == "duplicate":
                    twin = found.choice.duplicate_of[c, i]
                    assert trim.max_tokens is not None
                    assert twin in kept
                    assert twin[0] != c
                    assert alike(span_text(several, twin), span_text(several, (c, i)))
                assert (why == "title") == ((c, i) not in places)
                assert why != "top_p" or (c, i) not in allowed
            elif why == "title":
                assert trim.keep_titles
                assert any((c, i) in titles_of(several, trim, place) for place in kept)
            elif why == "context":
                assert trim.resolve_context
                assert any(chunk.leans_on.get(j) == i for d, j in score if d == c)
            elif why == "neighbor":
                near = [j for d, j in score if d == c]
                assert min(abs(mine.index(i) - mine.index(j)) for j in near) <= trim.neighbors
            else:
                assert why == "score"
            if (c, i) in kept:
                assert set(titles_of(several, trim, (c, i))) <= set(kept)


@pytest.mark.parametrize("name", ["byte-level BPE", "characters"])
@settings(max_examples=300, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_budgets_hold(name: str, seed: int) -> None:
    """`keep_ratio`, `top_p` and `min_keep` hold together as documented."""
    found = case(name, seed)
    trim, several, kept = found.trim, found.several, found.kept
    places = listed(several, trim)
    score = [place for place in kept if found.reason(place) == "score"]
    beyond = places[within_top_p(several, trim, places) :]
    assert len(set(score) & set(beyond)) <= trim.min_keep
    if len(score) < trim.min_keep:  # then only the ceiling is in the way
        left = {found.reason(p) for p in places if p not in kept}
        assert left <= {"max_tokens", "duplicate"}
    if trim.keep_ratio is not None and len(score) > trim.min_keep:
        count = found.reader.count
        sizes = [[count(c.text[s.start : s.end]) for s in c.segments] for c in several]
        share = sum(sizes[c][i] for c, i in kept) / max(1, sum(map(sum, sizes)))
        exempt = trim.min_keep > 0
        assert share <= trim.keep_ratio + 1e-9 or exempt


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32), order=st.randoms(use_true_random=False))
def test_the_order_of_chunks_does_not_matter(seed: int, order: Random) -> None:
    """In whatever order the reader gets the chunks, the same spans are kept of each."""
    several = chunks(Random(seed))
    moved = order.sample(range(len(several)), len(several))
    options = {"on_empty": "empty", **requests(Random(~seed))}
    there = chosen(several, len, **options)
    back = chosen([several[i] for i in moved], len, **options)
    assert [there.spans[i] for i in moved] == back.spans
    assert [there.reasons[i] for i in moved] == list(back.reasons)


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32), budget=st.integers(1, 300))
def test_the_best_span_that_fits_alone_is_always_kept(seed: int, budget: int) -> None:
    """A larger budget may trade many spans for one, but never loses the best that fits."""
    several = chunks(Random(seed))
    found = chosen(several, len, max_tokens=budget, on_empty="empty", keep_titles=False)
    trim = Trim(keep_titles=False)
    fitting = [p for p in listed(several, trim) if total(several, [p], trim, len) <= budget]
    if fitting:
        c, i = fitting[0]
        assert i in found.spans[c]
    else:
        assert not any(found.spans)
