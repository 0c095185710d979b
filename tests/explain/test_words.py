"""Tokens brought to words."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from attnmass.explain.words import by_word, find_words
from attnmass.text.tokens import PlainTokenizer
from tests.explain.support import CHUNKS, HOSTILE
from tests.tiny import tiny_tokenizer


def grouped(
    text: str, offsets: list[tuple[int, int]], masses: list[float], cuts: tuple[int, ...] = ()
) -> list[tuple[str, float]]:
    """Words and their masses."""
    bounds, links = find_words(text, np.array(offsets, dtype=np.int64), cuts)
    found = by_word(np.array([masses], dtype=np.float32), links, len(bounds))[0]
    return [
        (text[a:b], round(float(mass), 6))
        for (a, b), mass in zip(bounds.tolist(), found, strict=True)
    ]


@pytest.mark.parametrize(
    ("offsets", "masses"),
    [
        ([(0, 3), (3, 6), (6, 12), (12, 13)], [0.1, 0.2, 0.3, 0.4]),  # "Who", "inv.."
        ([(0, 3), (3, 7), (7, 12), (12, 13)], [0.1, 0.2, 0.3, 0.4]),
        ([(0, 3), (4, 7), (7, 12), (12, 13)], [0.1, 0.2, 0.3, 0.4]),
    ],
    ids=["byte-level, cut in the word", "space in the token", "space in no token"],
)
def test_pieces_of_a_word_add_up(offsets: list[tuple[int, int]], masses: list[float]) -> None:
    """Whether a tokenizer keeps the space with the word, apart or not at all is all the same."""
    assert grouped("Who invented?", offsets, masses) == [
        ("Who", 0.1),
        ("invented", 0.5),
        ("?", 0.4),
    ]


def test_byte_level_bpe_is_exact() -> None:
    """With a trained byte-level tokenizer each word has the sum of the tokens that lie in it."""
    text = "Albert Einstein's theory, of 1905: don't (ever) forget it…\n\nTrains!"
    tokens = PlainTokenizer(tiny_tokenizer()).content([text])[0]
    masses = [2.0**-i for i in range(len(tokens))]
    found = dict(zip(*zip(*grouped(text, list(tokens.offsets), masses), strict=True), strict=True))
    for word in ("Albert", "Einstein's", "theory", ",", "1905", "don't", "forget", "Trains"):
        start, end = text.index(word), text.index(word) + len(word)
        inside = [
            mass
            for mass, (a, b) in zip(masses, tokens.offsets, strict=True)
            if text[a:b].strip() and start <= a + len(text[a:b]) - len(text[a:b].lstrip()) < end
        ]
        assert found[word] == pytest.approx(sum(inside), abs=1e-6), word


def test_sentencepiece_offsets_are_exact() -> None:
    """With a metaspace tokenizer, whose words begin with the space before them, likewise."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    text = "developed the theory of relativity"
    tokenizer.train_from_iterator(
        [text] * 9, trainers.BpeTrainer(vocab_size=24, show_progress=False)
    )
    offsets = tokenizer.encode(text).offsets
    assert len(offsets) > 5  # words are in pieces
    found = grouped(text, offsets, [1.0] * len(offsets))
    assert [word for word, _ in found if word.strip()] == text.split()
    assert {mass for word, mass in found if not word.strip()} <= {1.0}  # a piece of its own
    assert sum(mass for _, mass in found) == len(offsets)


def test_white_space_tokens_stand_alone() -> None:
    """A token of nothing but white space is not counted for a word."""
    assert grouped("a\n\n b", [(0, 1), (1, 3), (3, 5)], [0.1, 0.6, 0.3]) == [
        ("a", 0.1),
        ("\n\n ", 0.6),
        ("b", 0.3),
    ]


def test_a_token_over_two_words_is_shared() -> None:
    """By its characters in each, the white space left out."""
    assert grouped("ab, cde", [(0, 4), (4, 7)], [0.3, 0.1]) == [
        ("ab", 0.2),
        (",", 0.1),
        ("cde", 0.1),
    ]


def test_tokens_of_one_character_all_count_there() -> None:
    """Bytes of an emoji, and a token of no characters, count where the character is."""
    found = grouped("a 👍 b", [(0, 1), (1, 3), (2, 3), (2, 3), (3, 3), (3, 5)], [0.1] * 6)
    assert found == [("a", 0.1), ("👍", 0.4), ("b", 0.1)]


def test_no_word_goes_over_a_cut() -> None:
    """The bounds of sentences are bounds of words."""
    assert grouped("abcd", [(0, 4)], [1.0], cuts=(1,)) == [("a", 0.25), ("bcd", 0.75)]


def test_unspaced_scripts_are_cut_at_tokens() -> None:
    """Chinese has no spaces to cut at, so that what the tokenizer takes for a piece is a word."""
    text = "相对论是他"
    found = grouped(text, [(0, 3), (3, 4), (4, 5)], [0.5, 0.2, 0.3])
    assert found == [("相对论", 0.5), ("是", 0.2), ("他", 0.3)]
    assert grouped("ทฤษฎีสัม", [(0, 4), (4, 8)], [0.5, 0.5])[0][0].startswith("ทฤษฎี")  # not a mark


@given(
    st.text(st.characters(codec=None, exclude_categories=()), min_size=1, max_size=40),
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 5)), min_size=1, max_size=12),
    st.lists(st.integers(0, 40), max_size=3),
)
def test_all_mass_is_kept(text: str, pairs: list[tuple[int, int]], cuts: list[int]) -> None:
    """Whatever text, offsets and cuts: words are in order, do not overlap, and have all mass."""
    offsets = [
        (min(start, len(text)), min(start + size, len(text))) for start, size in sorted(pairs)
    ]
    bounds, links = find_words(text, np.array(offsets, dtype=np.int64), cuts)
    flat = bounds.flatten().tolist()
    assert flat == sorted(flat)
    assert (bounds[:, 0] < bounds[:, 1]).all()
    masses = np.linspace(0.1, 0.9, len(offsets), dtype=np.float32)[None]
    found = by_word(masses, links, len(bounds))
    assert found.sum() == pytest.approx(float(masses.sum()), rel=1e-5)
    covered = {place for a, b in bounds.tolist() for place in range(a, b)}
    assert {i for i, char in enumerate(text) if not char.isspace()} <= covered


@pytest.mark.parametrize("text", [*HOSTILE, *(chunk.text for chunk in CHUNKS)])
def test_all_mass_is_kept_of_real_tokens(text: str) -> None:
    """Hostile texts lose nothing."""
    tokens = PlainTokenizer(tiny_tokenizer()).content([text])[0]
    found = grouped(text, list(tokens.offsets), [1.0] * len(tokens))
    assert sum(mass for _, mass in found) == pytest.approx(len(tokens), rel=1e-5)
