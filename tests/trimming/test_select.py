"""The choice of spans: each request alone."""

from __future__ import annotations

import pytest

from tests.trimming.build import candidate, chosen
from tests.trimming.texts import ARTICLE, SCORES, TEXT, article, plain


class TestNothingAsked:
    """Without a limit."""

    def test_all_is_kept(self) -> None:
        """Every sentence is kept for its score, and the text is what it was."""
        found = chosen(plain())
        assert found.text == TEXT
        assert found.reasons == ("score",) * 5
        assert found.n_tokens == 17

    def test_headings_over_nothing_are_dropped(self) -> None:
        """A heading that heads no span is no evidence of its own; others come as titles."""
        text = "# Rivers\n\nThe Rhine is long.\n\n# Sources"
        found = chosen(candidate(text, [0.1, 0.2, 0.9]))
        assert found.text == "# Rivers\n\nThe Rhine is long."
        assert found.reasons == ("title", "score", "title")
        assert found.spans == [0, 1]

    def test_no_candidates(self) -> None:
        """No chunks give nothing, and no error."""
        found = chosen([], max_tokens=5)
        assert (found.texts, found.n_tokens) == ((), 0)


class TestKeepRatio:
    """A share of the tokens."""

    @pytest.mark.parametrize(
        ("ratio", "spans"),
        [(1.0, [0, 1, 2, 3, 4]), (0.65, [1, 3, 4]), (0.6, [1, 2, 3]), (0.3, [3]), (0.01, [3])],
    )
    def test_best_first_shorter_ones_still_may(self, ratio: float, spans: list[int]) -> None:
        """Down the list all is taken that keeps to the share of 17 words, and the best always."""
        found = chosen(plain(), keep_ratio=ratio)
        assert found.spans == spans
        assert [why for why in found.reasons if why != "score"] == ["keep_ratio"] * (5 - len(spans))

    def test_rounding_takes_nothing_away(self) -> None:
        """0.29 of a hundred tokens are 29 of them, though not in floating point."""
        text = " ".join(["Aa aa aa aa aa."] * 20)
        sizes = [1.0] * 20
        assert len(chosen(candidate(text, sizes), keep_ratio=0.35).spans) == 7
        assert chosen(candidate("A" * 29 + ". " + "B" * 68 + ".", [1, 0]), len, keep_ratio=0.3)
        text = "A" * 28 + ". " + "B" * 70 + "."
        assert chosen(candidate(text, [0, 0.5]), len, keep_ratio=0.29, min_keep=0).spans == [0]

    def test_metadata_and_marks_do_not_count(self) -> None:
        """The share is of the spans' own tokens."""
        chunk = candidate(TEXT, SCORES, render=lambda text: "word " * 50 + text)
        assert chosen(chunk, keep_ratio=0.65).spans == [1, 3, 4]

    def test_titles_count(self) -> None:
        """Headings that a span brings count with it, once."""
        # 18 words; 4 brings both headings, 7 words, and then 2 takes 4.
        assert chosen(article(), keep_ratio=0.62).spans == [0, 2, 3, 4]
        assert chosen(article(), keep_ratio=0.60).spans == [0, 3, 4, 5]


class TestTopP:
    """A share of the mass."""

    @pytest.mark.parametrize(
        ("share", "spans"),
        [
            (0.33, [3]),
            (0.34, [1, 3]),
            (0.6, [1, 3]),
            (0.61, [1, 3, 4]),
            (0.94, [0, 1, 2, 3, 4]),
            (1.0, [0, 1, 2, 3, 4]),
        ],
    )
    def test_the_list_ends_where_it_is_reached(self, share: float, spans: list[int]) -> None:
        """Best first, spans are kept until they have that share of 1.5."""
        found = chosen(plain(), top_p=share)
        assert found.spans == spans
        assert [why for why in found.reasons if why != "score"] == ["top_p"] * (5 - len(spans))

    def test_mass_counts_and_not_the_score(self) -> None:
        """The order is by score, the share by mass."""
        chunk = candidate(TEXT, SCORES, masses=[0.9, 0.04, 0.02, 0.02, 0.02])
        assert chosen(chunk, top_p=0.05).spans == [1, 3]

    def test_headings_have_no_part_in_it(self) -> None:
        """The share is of the list's mass, on which headings are not where they come as titles."""
        assert chosen(article(), top_p=0.45).spans == [0, 3, 4]
        assert chosen(article(), top_p=0.45, keep_titles=False).spans == [0, 3]

    def test_no_mass_beyond(self) -> None:
        """With all of the mass wanted, spans without any are left; without any, one is kept."""
        assert chosen(candidate(TEXT, [0, 0.3, 0, 0.1, 0]), top_p=1.0).spans == [1, 3]
        assert chosen(candidate(TEXT, [0.0] * 5), top_p=0.5).spans == [0]

    def test_small_masses_are_not_lost_to_rounding(self) -> None:
        """Ten tenths are all of the mass, though not in floating point."""
        text = " ".join(["Aa aa."] * 10)
        assert len(chosen(candidate(text, [0.1] * 10), top_p=1.0).spans) == 10


class TestMinKeep:
    """At least so many."""

    def test_alone_it_asks_for_nothing(self) -> None:
        """Without a limit it makes no difference."""
        assert chosen(plain(), min_keep=0).text == TEXT
        assert chosen(plain(), min_keep=99).text == TEXT


class TestKeepTitles:
    """Headings come with what they head."""

    def test_headings_over_a_kept_span(self) -> None:
        """All headings over a kept span are kept, others are not, whatever their scores."""
        found = chosen(article(), max_tokens=7)
        assert found.text == "# Rivers\n\n… It ends in Rotterdam."
        assert found.reasons == (
            "title",
            "max_tokens",
            "score",
            "title",
            "max_tokens",
            "max_tokens",
        )
        assert chosen(article(), max_tokens=8).spans == [0, 3, 4]

    def test_span_that_does_not_fit_with_its_headings(self) -> None:
        """A span is not taken without the headings over it, nor they without it."""
        found = chosen(article(), max_tokens=5, on_empty="empty")
        assert found.spans == []
        assert found.reasons == ("title", *["max_tokens"] * 2, "title", *["max_tokens"] * 2)

    def test_without(self) -> None:
        """Then headings are spans like others."""
        found = chosen(article(), max_tokens=5, keep_titles=False)
        assert found.spans == [0, 3]
        assert found.text == "# Rivers\n\n…\n\n## Ships"
        assert found.reasons[0] == "score"

    def test_chunk_of_headings_alone(self) -> None:
        """Where a chunk has nothing else its headings are chosen, with those above them."""
        chunk = candidate("# One two\n\n## Three four\n\n## Five six", [0.1, 0.2, 0.9])
        found = chosen(chunk, max_tokens=7)
        assert found.spans == [0, 2]
        assert found.reasons == ("score", "max_tokens", "score")
        assert chosen(chunk, top_p=0.5).reasons == ("title", "top_p", "score")


class TestNeighbors:
    """What stands beside."""

    def test_both_sides(self) -> None:
        """So many spans before and after each kept one are kept with it."""
        found = chosen(candidate(TEXT, [0, 0, 1, 0, 0]), top_p=0.5, neighbors=1)
        assert found.spans == [1, 2, 3]
        assert found.reasons == ("top_p", "neighbor", "score", "neighbor", "top_p")
        found = chosen(candidate(TEXT, [1, 0, 0, 0, 0]), top_p=0.5, neighbors=2)
        assert found.reasons == ("score", "neighbor", "neighbor", "top_p", "top_p")

    def test_more_than_there_are(self) -> None:
        """More neighbors than spans are all spans."""
        assert chosen(plain(), top_p=0.1, neighbors=10**9).text == TEXT

    def test_of_the_same_chunk(self) -> None:
        """A neighbor is in the same chunk."""
        chunks = [candidate("Aa aa.", [0.0]), candidate("Bb bb.", [1.0]), candidate("Cc.", [0.0])]
        assert chosen(chunks, top_p=0.5, neighbors=3).spans == [[], [0], []]

    def test_neighbors_of_neighbors_are_none(self) -> None:
        """A span that came with another one brings none of its own."""
        found = chosen(candidate(TEXT, [1, 0, 0, 0, 0]), top_p=0.5, neighbors=1)
        assert found.spans == [0, 1]

    def test_headings_are_passed_over_and_come_with_what_they_head(self) -> None:
        """A neighbor in another section brings the heading that says so."""
        chunk = candidate(ARTICLE, [0, 0, 1, 0, 0, 0])
        found = chosen(chunk, top_p=0.5, neighbors=1)
        assert found.text == (
            "# Rivers\n\nThe Rhine is long. It ends in Rotterdam.\n\n## Ships\n\nShips carry coal."
        )
        assert found.reasons == ("title", "neighbor", "score", "title", "neighbor", "top_p")

    def test_headings_are_neighbors_where_they_are_no_titles(self) -> None:
        """Without `keep_titles` a heading is a neighbor like any other span."""
        chunk = candidate(ARTICLE, [0, 0, 1, 0, 0, 0])
        found = chosen(chunk, top_p=0.5, neighbors=1, keep_titles=False)
        assert found.reasons == ("top_p", "neighbor", "score", "neighbor", "top_p", "top_p")


class TestResolveContext:
    """What a span leans on."""

    def test_it_is_kept_too(self) -> None:
        """The span that a kept one leans on is kept as its context, and not what that leans on."""
        chunk = candidate(TEXT, [0, 0, 0, 0, 1], leans_on={4: 2, 2: 0, 3: 1})
        found = chosen(chunk, top_p=0.5, resolve_context=True)
        assert found.reasons == ("top_p", "top_p", "context", "top_p", "score")

    def test_not_unless_asked(self) -> None:
        """By default nothing is added."""
        chunk = candidate(TEXT, [0, 0, 0, 0, 1], leans_on={4: 2})
        assert chosen(chunk, top_p=0.5).spans == [4]

    def test_with_its_headings(self) -> None:
        """Context brings the headings over it."""
        text = "# Born\n\nEinstein was born.\n\n# Work\n\nHe worked."
        chunk = candidate(text, [0, 0, 0, 1], leans_on={3: 1})
        found = chosen(chunk, top_p=0.5, resolve_context=True)
        assert found.reasons == ("title", "context", "title", "score")

    def test_kept_for_its_own_sake(self) -> None:
        """Context that is on the list too is kept for its score."""
        chunk = candidate(TEXT, [0.9, 0, 0, 0, 1], leans_on={4: 0})
        assert chosen(chunk, top_p=0.9, resolve_context=True).reasons[0] == "score"


class TestSeparator:
    """What marks a gap."""

    @pytest.mark.parametrize("separator", ["…", "", " [...] ", "\n\n", "<gap/>"])
    def test_it_stands_in_each_gap_and_nowhere_else(self, separator: str) -> None:
        """One mark for each gap, none at the ends."""
        found = chosen(plain(), top_p=0.6, separator=separator)
        assert found.text == f"Boats are common. {separator} It ends in Rotterdam, Holland." or (
            separator == "" and found.text == "Boats are common. It ends in Rotterdam, Holland."
        )
