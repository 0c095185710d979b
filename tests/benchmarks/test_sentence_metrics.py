"""The sentence benchmark's data and metrics, on cases worked by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.sentence_data import LabelledSentences, read_answers, read_sentences
from benchmarks.sentence_metrics import (
    answer_survives,
    auc,
    has_answer,
    kept,
    normalize,
    share_kept,
)


def test_auc() -> None:
    """The share of pairs in the right order, ties half."""
    assert auc([1, 0, 0, 1], [0.9, 0.1, 0.5, 0.5]) == pytest.approx(3.5 / 4)
    assert auc([0, 1], [2.0, 1.0]) == 0.0


@pytest.mark.parametrize("relevant", [[0, 0], [1, 1]])
def test_auc_needs_both_kinds(relevant: list[int]) -> None:
    """Without a relevant sentence, or without another, there is no area."""
    with pytest.raises(ValueError, match="relevant sentences and others"):
        auc(relevant, [0.1, 0.2])


def test_kept_up_to_the_bound_and_including_it() -> None:
    """Sentences are taken best first while their tokens stay within the bound."""
    scores, tokens = [0.1, 0.9, 0.5, 0.2], [3, 2, 1, 4]
    assert kept(scores, tokens, 10) == []
    assert kept(scores, tokens, 20) == [1]
    assert kept(scores, tokens, 29) == [1]
    assert kept(scores, tokens, 30) == [1, 2]
    assert kept(scores, tokens, 100) == [1, 2, 3, 0]


def test_kept_stops_at_the_first_that_does_not_fit() -> None:
    """A shorter sentence below one that is too long is not taken in its place."""
    assert kept([0.9, 0.8, 0.7], [2, 7, 1], 30) == [0]


def test_kept_takes_ties_in_input_order() -> None:
    """Of equal scores the earlier sentence goes first."""
    assert kept([0.5, 0.5, 0.5], [1, 1, 1], 67) == [0, 1]


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(1, 50)), min_size=1), st.data())
def test_kept_within_the_bound_and_growing_with_it(
    sentences: list[tuple[float, int]], data: st.DataObject
) -> None:
    """What is kept fits, and a wider bound keeps it too."""
    scores, tokens = [s for s, _ in sentences], [t for _, t in sentences]
    tight = data.draw(st.integers(0, 100))
    wide = data.draw(st.integers(tight, 100))
    found = kept(scores, tokens, tight)
    assert 100 * sum(tokens[i] for i in found) <= tight * sum(tokens)
    assert kept(scores, tokens, wide)[: len(found)] == found


def test_share_kept() -> None:
    """Supporting sentences that are kept, of all of them."""
    relevant, scores, tokens = [0, 1, 1, 0], [0.1, 0.9, 0.2, 0.5], [1, 1, 1, 1]
    assert share_kept(relevant, scores, tokens, 50) == 0.5
    assert share_kept(relevant, scores, tokens, 75) == 1.0
    with pytest.raises(ValueError, match="no sentence is relevant"):
        share_kept([0, 0], [0.1, 0.2], [1, 1], 50)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The  New England\nPatriots!", "new england patriots"),
        ("October 14, 2017", "october 14 2017"),
        ("a man, an ant, the end", "man ant end"),
        ("theatre", "theatre"),
        ("Hanna Alström's", "hanna alströms"),
        ("The", ""),
    ],
)
def test_normalize(text: str, expected: str) -> None:
    """Case, punctuation, articles and white space do not count."""
    assert normalize(text) == expected


def test_has_answer() -> None:
    """Any answer in any text counts, in whole words."""
    assert has_answer(["Nothing.", "In (October 14), 2017 ..."], ["no such", "October 14, 2017"])
    assert not has_answer(["In 1492 he sailed."], ["14"])
    assert not has_answer(["He is Hanna", "Alström is he"], ["Hanna Alström"])
    assert not has_answer([], ["14"])
    with pytest.raises(ValueError, match="no words"):
        has_answer(["The end."], ["the"])


def test_answer_survives() -> None:
    """An answer that was not there cannot get lost."""
    assert answer_survives(["It was Qin.", "No."], ["It was Qin."], ["Qin"]) is True
    assert answer_survives(["It was Qin.", "No."], ["No."], ["Qin"]) is False
    assert answer_survives(["No."], ["No."], ["Qin"]) is None


def test_labelled_sentences() -> None:
    """Labels and lengths run text after text; spans keep their texts apart."""
    item = LabelledSentences(
        query="q",
        texts=("T\nOne. Two two.", "U\nThree."),
        sentences=(((2, 6, False), (7, 15, True)), ((2, 8, False),)),
    )
    assert item.spans == (((2, 6), (7, 15)), ((2, 8),))
    assert item.relevant == [0, 1, 0]
    assert item.tokens(lambda text: len(text.split())) == [1, 2, 1]


def test_read(tmp_path: Path) -> None:
    """Chunks are shuffled with their labels; an answer is a string or a list of them."""
    chunks = [
        {"text": f"T\nSentence {n}.", "relevant": n % 2, "sentences": [[2, 13, n % 2]]}
        for n in range(8)
    ]
    rows = [
        {"id": "1", "query": "q", "answer": "x", "chunks": chunks},
        {"id": "2", "query": "r", "answer": ["y", "z"], "chunks": chunks},
    ]
    for name in ("hotpotqa_sentences", "nq"):
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    first, second = read_sentences(tmp_path)
    assert (first.query, second.query) == ("q", "r")
    assert sorted(first.texts) == [chunk["text"] for chunk in chunks]
    assert first.texts != second.texts
    for text, ((start, end, label),) in zip(first.texts, first.sentences, strict=True):
        assert text[start:end] == text.removeprefix("T\n")
        assert label == (int(text[-2]) % 2 == 1)
    answered = read_answers(tmp_path)
    assert [each.answers for each in answered] == [("x",), ("y", "z")]
    assert answered[0].texts == first.texts
