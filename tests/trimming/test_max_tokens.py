"""The choice of spans under a ceiling of tokens, and what is left where none fits."""

from __future__ import annotations

from typing import Any

import pytest

from attnmass.text.segmentation import Segment
from attnmass.trimming.candidates import Candidate
from tests.trimming.build import candidate, chosen, not_additive, words
from tests.trimming.texts import SCORES, TEXT, article, plain


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
