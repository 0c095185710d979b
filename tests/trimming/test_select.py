"""The choice of spans: each request alone."""

from __future__ import annotations

from typing import Any

import pytest

from attnmass.text.segmentation import Segment
from attnmass.trimming.candidates import Candidate
from tests.trimming.build import candidate, chosen, not_additive, words

# Of 4, 3, 2, 5 and 3 words.
TEXT = (
    "The Rhine is long. Boats are common. Ships sink. It ends in Rotterdam, Holland. Coal is black."
)
SCORES = [0.2, 0.4, 0.1, 0.5, 0.3]

# Spans 0 (2 words) over all, 1 and 2 (4 words each) under it, 3 (2 words) over 4 and 5 (3 words).
ARTICLE = (
    "# Rivers\n\nThe Rhine is long. It ends in Rotterdam.\n\n"
    "## Ships\n\nShips carry coal. They are slow."
)
ARTICLE_SCORES = [0.9, 0.2, 0.3, 0.8, 0.5, 0.1]


def plain() -> Candidate:
    """Five sentences."""
    return candidate(TEXT, SCORES)


def article(**fields: Any) -> Candidate:
    """Four sentences under two headings."""
    return candidate(ARTICLE, ARTICLE_SCORES, **fields)


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


class TestMaxTokens:
    """The ceiling."""

    @pytest.mark.parametrize(
        ("budget", "spans"),
        [
            (17, [0, 1, 2, 3, 4]),
            (16, [0, 1, 3, 4]),
            (12, [1, 3, 4]),  # 3 + 1 + 5 + 3
            (11, [1, 2, 3]),  # the third of the list does not fit, the last one fills the gap
            (9, [1, 3]),
            (8, [3, 4]),
            (5, [3]),
            (4, [1]),
            (2, [2]),
        ],
    )
    def test_best_first_shorter_ones_still_may(self, budget: int, spans: list[int]) -> None:
        """Down the list all that fits is taken, marks of gaps included; the rest says why not."""
        found = chosen(plain(), max_tokens=budget)
        assert found.spans == spans
        assert found.n_tokens <= budget
        assert found.n_tokens == words(found.text)
        assert [found.reasons[i] for i in range(5) if i not in spans] == ["max_tokens"] * (
            5 - len(spans)
        )

    def test_over_all_chunks(self) -> None:
        """Spans of all chunks compete for one budget; ties go to the chunk that came in first."""
        chunks = [
            candidate("One two. Three four.", [0.5, 0.2], index=1),
            candidate("Five six. Seven eight.", [0.5, 0.4], index=0),
        ]
        assert chosen(chunks, max_tokens=2).spans == [[], [0]]
        assert chosen(chunks, max_tokens=4).spans == [[0], [0]]
        assert chosen(chunks, max_tokens=6).spans == [[0], [0, 1]]

    def test_what_is_rendered_counts(self) -> None:
        """Titles and metadata that the reader gets of a chunk take their part of the budget."""
        chunk = candidate(TEXT, SCORES, render=lambda text: f"source: page 3\n{text}")
        assert chosen(chunk, max_tokens=8).spans == [3]
        assert chosen(chunk, max_tokens=12).spans == [1, 3]
        assert chosen(chunk, max_tokens=12).n_tokens == 12

    def test_dear_chunks_are_passed_over(self) -> None:
        """A chunk whose metadata alone is too much is dropped, and others are not."""
        dear = candidate("Tea is cold.", [1.0], render=lambda text: "word " * 50 + text)
        found = chosen([dear, plain()], max_tokens=5)
        assert found.spans == [[], [3]]
        assert set(found.reasons[0]) == {"max_tokens"}

    def test_joins_count(self) -> None:
        """Chunks are joined by blank lines, which take tokens too."""
        chunks = [candidate("Abc.", [0.5]), candidate("Def.", [0.4])]
        assert chosen(chunks, len, max_tokens=10).spans == [[0], [0]]
        assert chosen(chunks, len, max_tokens=9).spans == [[0], []]

    def test_marks_count(self) -> None:
        """What stands where text was dropped takes tokens too."""
        wide = {"separator": "(some text was left out)"}
        assert chosen(plain(), max_tokens=9).spans == [1, 3]
        assert chosen(plain(), max_tokens=9, **wide).spans == [3, 4]

    def test_room_that_is_made_later_is_used(self) -> None:
        """A span that did not fit is taken if a mark that went made room for it."""
        # 5 and 3 + 5 are 13 words; the last of the list stands between the two, for 2 in place of
        # 5 words, and then 3 more fit.
        found = chosen(plain(), max_tokens=13, separator="(some text was left out)")
        assert found.spans == [1, 2, 3, 4]
        assert found.reasons == ("max_tokens", "score", "score", "score", "score")
        assert found.n_tokens == 13

    def test_ceiling_holds_where_parts_tell_nothing(self) -> None:
        """With a counter that is not additive the result is within the budget all the same."""
        for budget in range(20, 400, 7):
            found = chosen(plain(), not_additive, max_tokens=budget, on_empty="empty")
            assert found.n_tokens <= budget
            if found.text:
                assert not_additive(found.text) == found.n_tokens

    def test_better_spans_are_not_passed_over_for_joins_that_merge(self) -> None:
        """Where joins take less than reckoned, a span that fits is not lost to a shorter one."""
        texts = ["Aa aa aa.", "Bb bb bb.", "Cc cc cc.", "Dd."]
        chunks = [candidate(text, [1 / i]) for i, text in enumerate(texts, 1)]
        found = chosen(chunks, lambda text: max(1, words(text)), max_tokens=10)
        assert found.spans == [[0], [0], [0], []]

    def test_what_is_let_go_gives_back_all_that_it_took(self) -> None:
        """A span that turns out too much leaves the ratio and the least number to others."""
        text = f"Aa aa. Fish swim. Bb{' bb' * 7}. Cc cc cc cc. Dd dd dd dd."
        chunk = candidate(text, [0.9, 0.8, 0.7, 0.6, 0.5])

        def count(text: str) -> int:  # these two together take more than their parts
            return words(text) + (20 if "Aa" in text and "Bb" in text else 0)

        assert chosen(chunk, count, max_tokens=13, keep_ratio=0.8).spans == [0, 1, 3, 4]
        limits = {"max_tokens": 13, "keep_ratio": 0.5}
        assert chosen(chunk, count, **limits, min_keep=4).spans == [0, 1, 3, 4]
        assert chosen(chunk, count, **limits, min_keep=3).spans == [0, 1, 3]

    def test_render_that_repeats(self) -> None:
        """A template that says a text three times over is counted so, and well used."""
        chunk = candidate(f"{TEXT} " * 4, SCORES * 4, render=lambda text: f"{text} {text} {text}")
        found = chosen(chunk, max_tokens=120)
        assert 105 < found.n_tokens <= 120

    def test_counter_without_tokens(self) -> None:
        """Where nothing takes tokens all is kept."""
        assert chosen(plain(), lambda text: 0, max_tokens=1).text == TEXT


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


class TestOnEmpty:
    """When no span fits."""

    def test_raise(self) -> None:
        """The error says what the least is that would do, and it does."""
        chunk = candidate(TEXT, SCORES, render=lambda text: f"page 3: {text}")
        with pytest.raises(ValueError, match=r"max_tokens=3 is too few .* takes 4 tokens"):
            chosen(chunk, max_tokens=3)
        assert chosen(chunk, max_tokens=4).spans == [2]

    def test_raise_counts_headings(self) -> None:
        """The least has the headings in it."""
        with pytest.raises(ValueError, match="takes 6 tokens with its titles"):
            chosen(article(), max_tokens=5)
        assert chosen(article(), max_tokens=6).n_tokens == 6

    def test_empty(self) -> None:
        """Nothing is kept, and every span says why."""
        found = chosen(plain(), max_tokens=1, on_empty="empty")
        assert (found.text, found.n_tokens) == ("", 0)
        assert found.reasons == ("max_tokens",) * 5

    def test_cut(self) -> None:
        """The best span is cut to what fits, at a word's end."""
        text = "Black coal is shipped, slowly. White salt is shipped too, here."
        chunk = candidate(text, [0.1, 0.9], render=lambda kept: f"page 3: {kept}")
        found = chosen(chunk, max_tokens=4, on_empty="cut")
        assert found.text == "White salt"
        assert found.reasons == ("max_tokens", "score")
        assert found.n_tokens == 4

    def test_cut_of_a_script_without_spaces(self) -> None:
        """There is a word's end after each character, also beside words with spaces."""
        text = "爱因斯坦提出了 relativity 相对论。他是物理学家。"
        found = chosen(candidate(text, [0.9, 0.1]), len, max_tokens=3, on_empty="cut")
        assert found.text == "爱因斯"

    def test_cut_falls_back_to_another_chunk(self) -> None:
        """Where metadata leaves no room for a word of the best chunk, the next one is cut."""
        dear = candidate("Tea is cold.", [1.0], render=lambda text: "word " * 50 + text)
        found = chosen([dear, plain()], max_tokens=1, on_empty="cut")
        assert found.texts == ("", "It")

    def test_cut_to_nothing(self) -> None:
        """Where no word fits at all the result is empty: the ceiling holds."""
        found = chosen(candidate("Unbelievable thing.", [1]), len, max_tokens=5, on_empty="cut")
        assert (found.text, found.n_tokens, found.reasons) == ("", 0, ("max_tokens",))

    @pytest.mark.parametrize("on_empty", ["raise", "empty", "cut"])
    def test_something_fits(self, on_empty: str) -> None:
        """Where a span fits it makes no difference: no sentence is cut."""
        assert chosen(plain(), max_tokens=2, on_empty=on_empty).text == "Ships sink."

    @pytest.mark.parametrize(
        ("options", "match"),
        [
            ({"keep_ratio": 0.05}, "keep_ratio=0.05 is too few for any span. Raise keep_ratio"),
            ({"keep_ratio": 0.05, "max_tokens": 4}, "keep_ratio=0.05 is too few"),
            ({"keep_ratio": 0.12, "max_tokens": 1}, "keep_ratio=0.12 and max_tokens=1 is too few"),
        ],
    )
    def test_the_error_names_what_left_nothing(self, options: dict[str, Any], match: str) -> None:
        """Without a least number of spans, other limits can leave none as well."""
        with pytest.raises(ValueError, match=match):
            chosen(plain(), min_keep=0, **options)


class Meter:
    """Words, and how many characters were counted so far."""

    def __init__(self) -> None:
        self.read = 0

    def __call__(self, text: str) -> int:
        """Words of a text."""
        self.read += len(text)
        return words(text)


def sentences(number: int, index: int = 0) -> Candidate:
    """A chunk of so many sentences, with scores in no order."""
    pieces = [f"Sentence {i} of {index} is {'very ' * (i % 7)}long." for i in range(number)]
    segments, at = [], 0
    for piece in pieces:
        segments.append(Segment(at, at + len(piece), "sentence"))
        at += len(piece) + 1
    scores = [(i * 7919 + index * 31) % 997 / 997 for i in range(number)]
    return candidate(
        " ".join(pieces), scores, segments=segments, leans_on={i: i - 1 for i in range(1, number)}
    )


@pytest.mark.parametrize(
    "options",
    [
        {"max_tokens": 500},
        {"max_tokens": 5_000},
        {"max_tokens": 5_000, "neighbors": 1, "resolve_context": True},
        {"max_tokens": 5_000, "keep_ratio": 0.5},
    ],
)
@pytest.mark.parametrize("shape", [(1, 3_000), (300, 10)])
def test_work_grows_with_the_text_and_not_with_its_square(
    shape: tuple[int, int], options: dict[str, Any]
) -> None:
    """Long chunks and many chunks are read by the tokenizer a few times over, not once a span."""
    chunks = [sentences(shape[1], index) for index in range(shape[0])]
    count = Meter()
    found = chosen(chunks, count, **options)
    assert found.n_tokens > 0.95 * options["max_tokens"]
    assert count.read < 25 * sum(len(chunk.text) for chunk in chunks)
