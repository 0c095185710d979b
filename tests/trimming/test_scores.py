"""Attention on tokens brought to spans of characters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, processors

from attnmass.profiles import SpanRule
from attnmass.text.tokens import PlainTokenizer
from attnmass.trimming import TokenMass, span_masses, span_scores, span_shares, tokens_of
from attnmass.trimming.scores import best_possible
from tests.trimming.build import bpe, sentencepiece_bpe, unigram, wordpiece

Offsets = Sequence[tuple[int, int]]

RULE = SpanRule(((0, 0),), (1.0,))


def masses(
    tokens: Sequence[float], offsets: Offsets, spans: Offsets, shift: int = 0
) -> tuple[list[float], list[float]]:
    """`span_masses` on plain lists."""
    mass = TokenMass(np.array(tokens), np.array(offsets, dtype=np.int64).reshape(-1, 2), shift)
    found, counts = span_masses(mass, spans)
    return found.tolist(), counts.tolist()


def trimmed_bpe() -> Tokenizer:
    """Byte-level BPE that leaves white space out of its offsets, as GPT-2's does."""
    tokenizer = Tokenizer.from_str(bpe().to_str())
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    return tokenizer


class TestByHand:
    """Examples that were worked out on paper."""

    def test_whole_tokens(self) -> None:
        """A token inside a span counts for it whole; one between spans for none."""
        found = masses([0.1, 0.2, 0.4], [(0, 3), (3, 4), (4, 9)], [(0, 3), (4, 9)])
        assert found == ([0.1, 0.4], [1.0, 1.0])

    def test_token_across_a_boundary(self) -> None:
        """One of whose four characters three lie in the first span counts for it by 3/4."""
        found = masses([0.4, 0.2], [(2, 6), (6, 8)], [(0, 5), (5, 8)])
        assert found[0] == pytest.approx([0.3, 0.3])
        assert found[1] == [0.75, 1.25]

    def test_leading_space(self) -> None:
        """A space before a word that the token has in it belongs to the gap before the span."""
        found = masses([0.3, 0.3], [(0, 3), (3, 6)], [(0, 3), (4, 6)])
        assert found[0] == pytest.approx([0.3, 0.2])
        assert found[1] == pytest.approx([1.0, 2 / 3])

    def test_token_over_several_spans(self) -> None:
        """A token that covers several spans is shared by all of them."""
        found = masses([1.0], [(0, 10)], [(0, 2), (3, 4), (5, 10)])
        assert found[0] == pytest.approx([0.2, 0.1, 0.5])

    def test_several_tokens_of_one_character(self) -> None:
        """All tokens of an emoji count where it is."""
        found = masses([0.1, 0.2, 0.3, 0.4], [(0, 1)] * 3 + [(1, 2)], [(0, 1), (1, 2)])
        assert found[0] == pytest.approx([0.6, 0.4])
        assert found[1] == [3.0, 1.0]

    def test_title_is_no_part_of_any_span(self) -> None:
        """Tokens before the chunk's own text are left out, one across its beginning in part."""
        found = masses([0.5, 0.2, 0.1], [(0, 5), (5, 7), (7, 9)], [(0, 3)], shift=6)
        assert found[0] == pytest.approx([0.1 + 0.1])
        assert found[1] == [1.5]

    @pytest.mark.parametrize(
        ("empty", "span"), [((0, 0), 0), ((1, 1), 0), ((3, 3), 1), ((4, 4), 1), ((6, 6), 2)]
    )
    def test_token_of_no_characters(self, empty: tuple[int, int], span: int) -> None:
        """It counts where the character before it is, at the beginning where the first one is."""
        tokens = sorted([(0, 2), (2, 4), (4, 6), empty])
        mass = [0.7 if token == empty else 0.0 for token in tokens]
        found = masses(mass, tokens, [(0, 2), (2, 4), (4, 6)])
        assert found[0] == [0.7 if number == span else 0.0 for number in range(3)]

    def test_offsets_out_of_order(self) -> None:
        """Tokens count where their characters are, whatever order they come in."""
        found = masses([0.1, 0.2, 0.3, 0.4], [(4, 6), (0, 2), (6, 8), (2, 4)], [(0, 4), (4, 8)])
        assert found[0] == pytest.approx([0.6, 0.4])
        assert found[1] == [2.0, 2.0]

    def test_overlapping_offsets(self) -> None:
        """A token that lies over others takes nothing away from them."""
        found = masses([0.5, 0.2, 0.3], [(0, 6), (1, 3), (3, 5)], [(0, 3), (3, 6)])
        assert found[0] == pytest.approx([0.45, 0.55])

    def test_no_spans(self) -> None:
        """No spans have no masses."""
        assert masses([1.0], [(0, 1)], []) == ([], [])

    def test_span_without_tokens(self) -> None:
        """A span that the tokenizer left out has no mass and no tokens."""
        assert masses([1.0], [(0, 1)], [(0, 1), (3, 4)]) == ([1.0, 0.0], [1.0, 0.0])


TOKENIZERS: list[Callable[[], Any]] = [bpe, trimmed_bpe, unigram, sentencepiece_bpe, wordpiece]
TEXTS = st.text(
    alphabet=st.one_of(
        st.sampled_from("the river Einstein .,\n"),
        st.sampled_from("爱因斯坦。日本語ไทยعربيहिन्दी한국어"),
        st.sampled_from("😀👩\u200d🚀🇩🇪é\u0301ﬁ½\x00\ud83d\u00a0\u3000"),
        st.characters(),
    ),
    max_size=60,
)


@pytest.mark.parametrize("build", TOKENIZERS)
@settings(max_examples=150, deadline=None)
@given(text=TEXTS, cuts=st.lists(st.integers(0, 60), max_size=8), seed=st.integers(0, 9))
def test_spans_that_cover_the_text_have_all_the_mass(
    build: Callable[[], Any], text: str, cuts: list[int], seed: int
) -> None:
    """However a text is tiled, masses and counts add up to those of all its tokens, to 1e-9."""
    plain = PlainTokenizer(SimpleNamespace(backend_tokenizer=build(), chat_template=None))
    tokens = plain.content([text])[0]
    if not len(tokens):
        return
    bounds = sorted({0, len(text), *(min(cut, len(text)) for cut in cuts)})
    mass = np.random.default_rng(seed).random(len(tokens))
    spans = list(pairwise(bounds))
    found, counts = masses(mass.tolist(), tokens.offsets, spans)
    assert sum(found) == pytest.approx(mass.sum(), abs=1e-9)
    assert sum(counts) == pytest.approx(len(tokens), abs=1e-9)
    assert min(found, default=0) >= 0


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 6), st.floats(0, 1)), max_size=12),
    st.lists(st.integers(0, 26), max_size=8),
    st.integers(0, 4),
)
def test_any_offsets_as_the_slow_way(
    tokens: list[tuple[int, int, float]], cuts: list[int], shift: int
) -> None:
    """Any offsets at all give what a loop over all pairs of tokens and spans gives."""
    offsets = [(start, start + size) for start, size, _ in tokens]
    mass = [weight for *_, weight in tokens]
    bounds = sorted(set(cuts))
    spans = list(zip(bounds[::2], bounds[1::2], strict=False))
    expected = []
    for low, high in spans:
        total = 0.0
        for (start, end), weight in zip(offsets, mass, strict=True):
            where = range(start, end) or range(max(start - 1, 0), max(start, 1))
            inside = [at for at in where if low <= at - shift < high]
            total += weight * len(inside) / len(where)
        expected.append(total)
    assert masses(mass, offsets, spans, shift)[0] == pytest.approx(expected, abs=1e-9)
    array = np.array(offsets, dtype=np.int64).reshape(-1, 2)
    assert tokens_of(array, shift, spans) == [
        [n for n, (s, e) in enumerate(offsets) if max(s - shift, low) < min(e - shift, high)]
        for low, high in spans
    ]


class TestScores:
    """What spans are ordered by."""

    def test_by_hand(self) -> None:
        """Mass over the root of the length, mixed with the chunk's in the logarithm."""
        found = span_scores(np.array([0.08, 0.02]), np.array([16.0, 4.0]), 0.5, RULE)
        assert found.tolist() == pytest.approx([0.1, (0.01 * 0.5) ** 0.5])

    @pytest.mark.parametrize(
        ("exponent", "share", "expected"),
        [
            (0.0, 0.0, 0.36),
            (1.0, 0.0, 0.04),
            (0.5, 0.0, 0.12),
            (0.0, 1.0, 0.25),
            (0.0, 0.5, 0.3),
            (1.0, 0.5, 0.1),
        ],
    )
    def test_exponent_and_share(self, exponent: float, share: float, expected: float) -> None:
        """An exponent of 0 is plain mass, of 1 the mean; a share of 1 is the chunk's mass alone."""
        rule = SpanRule(((0, 0),), (1.0,), exponent, share)
        found = span_scores(np.array([0.36]), np.array([9.0]), 0.25, rule)
        assert found.tolist() == pytest.approx([expected])

    def test_part_of_a_token_does_not_count_as_less_than_one(self) -> None:
        """A span of half a token is not divided by less than 1."""
        assert span_scores(np.array([0.25]), np.array([0.5]), 1.0, RULE).tolist() == [0.5]

    @given(
        st.lists(st.tuples(st.floats(0, 1), st.floats(0, 500)), max_size=6),
        st.floats(0, 1),
        st.floats(0, 1),
        st.floats(0, 1),
    )
    def test_in_the_unit_interval(
        self, spans: list[tuple[float, float]], chunk: float, exponent: float, share: float
    ) -> None:
        """Scores are numbers between 0 and 1, no mass included."""
        rule = SpanRule(((0, 0),), (1.0,), exponent, share)
        mass, counts = (np.array([span[i] for span in spans]) for i in (0, 1))
        found = span_scores(mass, counts, chunk, rule)
        assert found.shape == (len(spans),)
        assert ((found >= 0) & (found <= 1)).all()


SHARING = SpanRule(((0, 0), (0, 1)), (1.0, 0.0), 0.0, 0.5, exponents=(2.0, -1.0))

by_two_heads = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=8)


class TestShares:
    """What spans of one chunk have of it, by exponents."""

    def test_by_hand(self) -> None:
        """Two spans, two heads: shares are as the products of powers of mass over the mean."""
        first, other = span_shares(np.array([[0.1, 0.3], [0.2, 0.2]]), (2.0, -1.0))
        assert first + other == pytest.approx(1)
        assert other / first == pytest.approx(((1.5 + 0.02) / (0.5 + 0.02)) ** 2)

    def test_score_by_hand(self) -> None:
        """A share over the root of the length, mixed with the chunk's score in the logarithm."""
        rule = SpanRule(((0, 0),), (1.0,), 0.5, 0.5, exponents=(1.0,))
        shares = span_shares(np.array([[0.2, 0.2]]), rule.exponents)
        found = span_scores(shares, np.array([4.0, 16.0]), 0.36, rule)
        assert found.tolist() == pytest.approx([(0.25 * 0.36) ** 0.5, (0.125 * 0.36) ** 0.5])

    def test_negative_exponent_counts_against(self) -> None:
        """A span that a head with a negative exponent looks at has less."""
        one, other = span_shares(np.array([[0.1, 0.1], [0.3, 0.1]]), (1.0, -1.0))
        assert one < other

    def test_headings_take_nothing(self) -> None:
        """The others' shares are those that they have without a heading, which has no more."""
        body = np.array([False, True, True])
        found = span_shares(np.array([[0.9, 0.1, 0.3]]), (1.5,), body)
        assert found[1:].tolist() == pytest.approx(span_shares(np.array([[0.1, 0.3]]), (1.5,)))
        assert found[0] == pytest.approx(found[2])

    def test_headings_alone_share(self) -> None:
        """Where there is nothing but headings, they are spans like others."""
        masses = np.array([[0.1, 0.3]])
        found = span_shares(masses, (1.0,), np.array([False, False]))
        assert found.tolist() == span_shares(masses, (1.0,)).tolist()

    def test_nothing_to_tell_by(self) -> None:
        """Without mass all have the same; without spans there are none."""
        assert span_shares(np.zeros((1, 4)), (2.0,)).tolist() == [0.25] * 4
        assert span_shares(np.zeros((1, 0)), (2.0,)).tolist() == []

    @given(by_two_heads, st.integers(0, 7))
    def test_order_does_not_matter(self, spans: list[tuple[float, float]], turn: int) -> None:
        """The same spans in another order have the same shares, and all of them make the chunk."""
        masses = np.array(spans).T
        turned = np.roll(np.arange(len(spans)), turn)
        found = span_shares(masses, SHARING.exponents)
        assert found.sum() == pytest.approx(1)
        again = span_shares(masses[:, turned], SHARING.exponents)
        assert again.tolist() == pytest.approx(found[turned].tolist())

    @given(
        by_two_heads,
        st.lists(st.booleans(), min_size=8, max_size=8),
        st.lists(st.floats(-5, 5), min_size=2, max_size=2),
        st.floats(0, 1),
        st.floats(0, 1),
        st.floats(0, 1),
        st.floats(0, 200),
    )
    def test_bound_and_unit_interval(
        self,
        spans: list[tuple[float, float]],
        body: list[bool],
        exponents: list[float],
        length: float,
        share: float,
        chunk: float,
        tokens: float,
    ) -> None:
        """Whatever the exponents, scores are in [0, 1] and none is above what is possible."""
        rule = SpanRule(((0, 0), (0, 1)), (0.5, 0.5), length, share, exponents=tuple(exponents))
        masses = np.array(spans).T
        shares = span_shares(masses, rule.exponents, np.array(body[: len(spans)]))
        found = span_scores(shares, np.full(len(spans), tokens), chunk, rule)
        assert ((found >= 0) & (found <= 1)).all()
        assert found.max() <= best_possible(float(masses[0].sum()), chunk, rule)
