"""Which words of a query a text says."""

from __future__ import annotations

import math
import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnmass.profiles.texts import ordinary_rarity
from attnmass.text.rarity import Rarity
from attnmass.text.words import QueryWords, bm25

EVEN = Rarity({}, 0)


@pytest.mark.parametrize(
    ("query", "text", "share"),
    [
        ("telescope inventors", "He invented the Telescopes.", 1.0),
        ("telescope inventors", "A microscope.", 0.0),
        ("telescope inventors", "The inventory of a shop.", 0.5),
        ("cat map", "A catalogue of maps", 0.0),  # shorter words are told whole
        ("cat map", "CAT, map", 1.0),
        ("cat map", "a_cat xmap map_", 0.0),
        ("art", "smart art", 1.0),  # the first place is within a word
        ("", "anything", 0.0),
        ("?!", "?!", 0.0),
        ("telescope", "", 0.0),
        ("Straße ÉCOLE", "straße école", 1.0),
    ],
)
def test_words_are_told_by_their_beginnings(query: str, text: str, share: float) -> None:
    """The first five letters tell a word, shorter ones are told whole."""
    assert QueryWords(query, EVEN).said(text) == pytest.approx(share)


def test_words_of_several_texts_are_joined() -> None:
    """Of two, those are counted once that both say; a query without words leaves none unsaid."""
    words = QueryWords("cat map sea sky", EVEN)
    found = [words.found(text) for text in ("a cat", "a map and a cat", "sea, map", "a dog")]
    assert words.share(found[0] | found[2]) == 0.75
    assert list(words.by_pairs(found)) == [0.75, 0.75, 0.75, 0.5]
    assert list(words.by_pairs(found[:1])) == [0.25]
    assert list(words.by_pairs([])) == []
    none = QueryWords("?!", EVEN)
    assert (none.share(0), list(none.by_pairs([0, 0]))) == (0.0, [1.0, 1.0])


@given(found=st.lists(st.integers(0, 2**40 - 1), min_size=1, max_size=300), seed=st.randoms())
def test_pairs_are_the_same_in_any_order(found: list[int], seed: random.Random) -> None:
    """To the last bit, for as many words and texts as one likes, and as one by one."""
    words = QueryWords(" ".join(f"w{n:03}" for n in range(40)), Rarity({"w003": 3, "w017": 60}, 80))
    first = list(words.by_pairs(found))
    assert first[0] == max(words.share(found[0] | one) for one in found)
    order = seed.sample(range(len(found)), len(found))
    again = list(words.by_pairs([found[place] for place in order]))
    assert again == [first[place] for place in order]
    more = list(words.by_pairs([*found, 2**40 - 1]))
    assert more == [1.0] * len(more)


def test_scripts_without_spaces_are_told_by_pairs() -> None:
    """Two characters that stand together."""
    words = QueryWords("東京タワー", EVEN)
    assert words.said("昨日、東京タワーに行った") == pytest.approx(1.0)
    assert words.said("東京に行った") == pytest.approx(0.25)
    assert words.said("京都") == 0.0


def test_rare_words_count_for_more() -> None:
    """What is in all texts says next to nothing."""
    words = QueryWords("who invented the telescope", ordinary_rarity())
    assert words.said("the one who") < 0.3 < words.said("a telescope")
    assert words.said("The telescope was invented by one who") == pytest.approx(1.0)


@pytest.mark.parametrize("again", ["{}", "{} {} {}", "The question is: {}", "Q: {}\nA:"])
def test_what_repeats_the_query_says_nothing(again: str) -> None:
    """But what stands around it does."""
    query = "Who invented the telescope?"
    words = QueryWords(query, ordinary_rarity())
    assert words.said(again.replace("{}", query.upper())) < 1e-3
    answer = " Hans Lippershey invented it in 1608."
    assert words.said(again.replace("{}", query) + answer) == pytest.approx(
        words.said(answer), abs=1e-3
    )


def test_bm25() -> None:
    """By hand: two of three texts of two words have the one word, one has the other."""
    found = bm25("blue whales", ["blue sea", "blue whale", "red sea"], EVEN)
    rare, common = math.log(1 + 2.5 / 1.5), math.log(1 + 1.5 / 2.5)
    assert found == pytest.approx([common / 1.9, (rare + common) / 1.9, 0.0])


@pytest.mark.parametrize(("query", "texts"), [("blue", []), ("?", ["blue"]), ("blue", ["", " "])])
def test_bm25_of_nothing(query: str, texts: list[str]) -> None:
    """No words, no texts."""
    assert bm25(query, texts, EVEN) == [0.0] * len(texts)


def test_bm25_of_what_repeats_the_query() -> None:
    """It says nothing."""
    query = "Who invented the telescope?"
    echo, answer = bm25(query, [query * 3, "The telescope was invented in 1608."], EVEN)
    assert echo == 0 < answer


@given(st.text(max_size=60), st.text(max_size=200), st.text(max_size=60))
def test_share_is_one_and_grows_with_the_text(query: str, text: str, more: str) -> None:
    """In [0, 1], whatever the texts."""
    words = QueryWords(query, ordinary_rarity())
    assert 0.0 <= words.said(text) <= 1.0
    if not words._echo.places(f"{text} {more}"):
        assert words.said(f"{text} {more}") >= words.said(text) - 1e-12


def test_many_echoes_take_linear_time() -> None:
    """A text that says the query again and again, with a word between."""
    words = QueryWords("a aa aaa aaaa aaaaaa b?", EVEN)

    def seconds(count: int) -> float:
        text = "a aa aaa aaaa aaaaaa b? other words that are not of the query at all " * count
        started = time.process_time()
        assert words.said(text) == 0.0
        return time.process_time() - started

    short = min(seconds(4_000) for _ in range(3))
    assert min(seconds(32_000) for _ in range(2)) < 24 * short + 0.01


@pytest.mark.parametrize("text", ["a" * 400_000, "a " * 200_000, "xa" * 200_000, "aaaaa" * 80_000])
def test_takes_linear_time(text: str) -> None:
    """Also where words almost stand everywhere."""
    words = QueryWords("a aa aaa aaaa aaaaaa b", EVEN)

    def seconds(text: str) -> float:
        started = time.process_time()
        words.said(text)
        return time.process_time() - started

    short = min(seconds(text[: len(text) // 8]) for _ in range(3))
    assert min(seconds(text) for _ in range(3)) < 40 * short + 0.01
