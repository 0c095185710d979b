"""A budget is a ceiling: what is not relevant or said twice stays out, what must stay is in."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attnmass import Trim
from attnmass.trimming import BudgetError, TokenCounter
from attnmass.trimming.candidates import Candidate, Choice, Place
from attnmass.trimming.duplicates import THRESHOLD, Copies
from attnmass.trimming.select import choose
from tests.trimming.build import candidate, chosen, words
from tests.trimming.random_chunks import chunks, requests
from tests.trimming.slow import alike, span_text, total
from tests.trimming.texts import TEXT, article, plain


def kept_of(choice: Choice) -> set[Place]:
    """The kept spans."""
    return {(c, i) for c, spans in enumerate(choice.kept) for i, span in enumerate(spans) if span}


def marked(several: list[Candidate], random: Random, **shares: float) -> list[Candidate]:
    """The same, random shares of their spans `irrelevant` or `must`."""
    return [
        replace(
            chunk,
            **{
                name: frozenset(i for i in range(len(chunk.segments)) if random.random() < share)
                for name, share in shares.items()
            },
        )
        for chunk in several
    ]


class TestRelevance:
    """What is not relevant."""

    def test_it_stays_out(self) -> None:
        """Room is left rather than filled, and the reason says why."""
        found = chosen(replace(plain(), irrelevant=frozenset({1, 2, 4})), max_tokens=100)
        assert found.spans == [0, 3]
        assert found.reasons == (
            "score", "min_relevance", "min_relevance", "score", "min_relevance",
        )  # fmt: skip

    def test_the_best_is_kept_all_the_same(self) -> None:
        """Where nothing is relevant, `min_keep` spans are kept; with 0 none, without an error."""
        nothing = replace(plain(), irrelevant=frozenset(range(5)))
        assert chosen(nothing, max_tokens=100).spans == [3]
        assert chosen(nothing, max_tokens=100, min_keep=2).spans == [1, 3]
        found = chosen(nothing, max_tokens=100, min_keep=0)
        assert (found.spans, set(found.reasons)) == ([], {"min_relevance"})

    def test_relevant_spans_go_first(self) -> None:
        """What is relevant is taken before better scores that are not."""
        found = chosen(replace(plain(), irrelevant=frozenset({3})), max_tokens=5)
        assert found.spans == [1, 2]
        assert found.reasons[3] == "min_relevance"

    def test_headings_come_with_what_they_head(self) -> None:
        """A heading's own relevance does not count."""
        found = chosen(replace(article(), irrelevant=frozenset({0, 1, 2, 3, 5})), max_tokens=100)
        assert found.spans == [0, 3, 4]

    def test_what_comes_along_need_not_be_relevant(self) -> None:
        """Neighbors and context make what is kept readable."""
        chunk = replace(plain(), irrelevant=frozenset({0, 1, 2, 4}), leans_on={3: 0})
        assert chosen(chunk, max_tokens=100, neighbors=1).spans == [2, 3, 4]
        assert chosen(chunk, max_tokens=100, resolve_context=True).spans == [0, 3]

    @settings(max_examples=400, deadline=None)
    @given(seed=st.integers(0, 2**32))
    def test_what_is_not_relevant_pushes_nothing_out(self, seed: int) -> None:
        """An irrelevant chunk beside the others changes no relevant span that is kept."""
        random = Random(seed)
        several = marked(chunks(random), random, irrelevant=0.3)
        options = {
            name: value
            for name, value in requests(random).items()
            if name not in ("keep_ratio", "min_keep")
        }
        noise = candidate(TEXT, [random.random() for _ in range(5)], index=99)
        noise = replace(noise, irrelevant=frozenset(range(5)))
        at = random.randint(0, len(several))

        def relevant(found: list[Candidate]) -> list[set[int]]:
            choice = choose(found, Trim(**options, on_empty="empty"), TokenCounter(len))
            kept = kept_of(choice)
            return [
                {i for i in range(len(chunk.segments)) if (c, i) in kept} - chunk.irrelevant
                for c, chunk in enumerate(found)
                if chunk.index != 99
            ]

        assert relevant(several) == relevant([*several[:at], noise, *several[at:]])


class TestMustKeep:
    """What must stay."""

    def test_it_stays_whatever_it_scores(self) -> None:
        """It is in before the budget is spent, irrelevant or not, with its headings."""
        found = chosen(replace(plain(), must=frozenset({2})), max_tokens=8)
        assert found.reasons == ("max_tokens", "max_tokens", "must_keep", "score", "max_tokens")
        must = replace(article(), must=frozenset({5}), irrelevant=frozenset(range(6)))
        assert chosen(must, max_tokens=9).reasons[3:] == ("title", "min_relevance", "must_keep")
        heading = replace(article(), must=frozenset({3}))
        assert chosen(heading, keep_ratio=0.1, min_keep=0).reasons[3] == "must_keep"

    def test_the_best_is_kept_beside_it(self) -> None:
        """What must stay is none of the `min_keep` best, unless it is one of them."""
        nothing = replace(plain(), irrelevant=frozenset(range(5)), must=frozenset({2}))
        assert chosen(nothing, max_tokens=100).spans == [2, 3]
        best = replace(nothing, must=frozenset({3}))
        assert chosen(best, max_tokens=100).reasons[3] == "must_keep"
        assert chosen(best, max_tokens=100).spans == [3]

    def test_more_than_the_budget(self) -> None:
        """An error with the numbers, nothing, or the best of it."""
        must = replace(plain(), must=frozenset({0, 1, 3}))
        with pytest.raises(
            BudgetError, match=r"takes 13 tokens .*, 5 more than max_tokens=8: raise"
        ):
            chosen(must, max_tokens=8)
        empty = chosen(must, max_tokens=8, on_empty="empty")
        assert (empty.spans, set(empty.reasons)) == ([], {"max_tokens"})
        cut = chosen(must, max_tokens=8, on_empty="cut")
        assert cut.reasons == (*["max_tokens"] * 3, "must_keep", "score")
        choice = choose([must], Trim(max_tokens=8, on_empty="cut"), TokenCounter(words))
        assert choice.over == 5

    @settings(max_examples=500, deadline=None)
    @given(seed=st.integers(0, 2**32))
    def test_it_is_always_in(self, seed: int) -> None:
        """Every span that must stay is kept, or another chunk's that has the same words; or error.

        The ceiling holds all the same.
        """
        random = Random(seed)
        several = marked(chunks(random), random, irrelevant=0.3, must=0.15)
        must = {(c, i) for c, chunk in enumerate(several) for i in chunk.must}
        trim = Trim(**requests(random))
        try:
            choice = choose(several, trim, TokenCounter(len))
        except BudgetError as error:
            if "must_keep" in str(error):
                needed = must | {
                    (c, t)
                    for c, i in must
                    for t in (several[c].segments[i].headings if trim.keep_titles else ())
                }
                assert trim.max_tokens is not None
                assert total(several, needed, trim, len) > trim.max_tokens
            else:
                assert not must
            return
        kept = kept_of(choice)
        assert {choice.duplicate_of.get(place, place) for place in must} <= kept
        assert {place for place in must if choice.reasons[place[0]][place[1]] == "duplicate"} == (
            must - kept
        )
        assert trim.max_tokens is None or choice.n_tokens <= trim.max_tokens


class TestDuplicates:
    """What is said twice."""

    def test_once(self) -> None:
        """Of two chunks with one sentence the better one has it, and the other names that."""
        one = candidate("The Rhine is long. Boats are slow.", [0.3, 0.2], index=0)
        other = candidate("Coal is black.  the RHINE is long!", [0.1, 0.9], index=1)
        choice = choose([one, other], Trim(max_tokens=100), TokenCounter(words))
        assert choice.reasons == (("duplicate", "score"), ("score", "score"))
        assert choice.duplicate_of == {(0, 0): (1, 1)}

    def test_only_under_a_ceiling_and_between_chunks(self) -> None:
        """A refrain in one chunk is the chunk's own, and without a ceiling nothing is gained."""
        refrain = candidate("Row, row. Boats are slow. Row, row.", [0.3, 0.2, 0.1])
        assert chosen(refrain, max_tokens=100).spans == [0, 1, 2]
        assert chosen([plain(), plain()], keep_ratio=1.0).spans == [[0, 1, 2, 3, 4]] * 2

    @settings(max_examples=300, deadline=None)
    @given(seed=st.integers(0, 2**32))
    def test_nothing_is_kept_twice(self, seed: int) -> None:
        """No two chunks have a span alike, but for what comes along as title."""
        random = Random(seed)
        several = chunks(random)
        several += [replace(chunk, index=50 + c) for c, chunk in enumerate(several)]
        random.shuffle(several)
        options: dict[str, Any] = {"max_tokens": 10_000, **requests(random)}
        choice = choose(several, Trim(**options, on_empty="empty"), TokenCounter(len))
        kept = [p for p in kept_of(choice) if choice.reasons[p[0]][p[1]] != "title"]
        for n, one in enumerate(kept):
            for other in kept[:n]:
                if one[0] != other[0]:
                    assert not alike(span_text(several, one), span_text(several, other))


LONG = "The lease of the flat in Ulm ends on the last day of the month of May unless " * 4


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("The Rhine is long.", "“the  rhine\nis LONG”", True),
        ("It costs $5.", "It costs €5.", False),
        ("It costs 5.", "It costs -5.", False),
        ("It is 1.5 wide.", "It is 15 wide.", False),
        ("It is 5% of it.", "It is 5 of it.", False),
        ("It is safe.", "It is not safe.", False),
        (f"{LONG} it is told.", f"Note: {LONG} it is told.", True),
        (f"{LONG} 5 it is told.", f"{LONG} 6 it is told.", False),
        (" ".join(LONG.split()[:20]), " ".join(["A", *LONG.split()[1:20]]), False),
        ("。", "！", False),
        ("爱因斯坦是物理学家。", "爱因斯坦是物理学家", True),
    ],
)
def test_what_is_alike(one: str, other: str, same: bool) -> None:
    """Case, white space and punctuation say nothing; numbers, signs and other words do."""
    copies = Copies()
    copies.add((0, 3), one)
    assert copies.like(1, other) == ((0, 3) if same else None)
    assert copies.like(0, other) is None
    copies.remove((0, 3))
    assert copies.like(1, other) is None


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32))
def test_what_is_looked_up_is_what_is_alike(seed: int) -> None:
    """A look-up finds what a comparison with each one finds, whatever words were changed."""
    random = Random(seed)
    base = [random.choice("abcdefgh") * random.randint(1, 3) for _ in range(random.randint(1, 60))]
    texts = []
    for _ in range(6):
        changed = list(base)
        for _ in range(random.randint(0, 3)):
            changed[random.randrange(len(changed))] = random.choice(["x", "y", "7"])
        texts.append(" ".join(changed[random.randint(0, 1) :]))
    copies = Copies()
    for number, text in enumerate(texts[1:]):
        copies.add((number, 0), text)
    found = copies.like(99, texts[0])
    expected = [alike(texts[0], text) for text in texts[1:]]
    assert (found is not None) == any(expected)
    assert found is None or expected[found[0]]
    assert THRESHOLD == 0.9
