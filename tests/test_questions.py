"""The questions of examples, demo, README and docs: with their answer at hand, and without."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from attnmass import AttentionRanker, Chunk

ROOT = Path(__file__).parents[1]

# The article that answers, and which of its paragraphs where its opening does not.
ANSWERED = {
    "Who invented the theory of relativity?": ("Albert Einstein", None),
    "Which observation first confirmed that gravity bends starlight?": ("Albert Einstein", 25),
    "When did timekeepers notice gravity making their clocks disagree?": (
        "International Atomic Time",
        10,
    ),
    "Who coined the term albedo?": ("Albedo", 4),
    "After whom is the ampere named?": ("Ampere", None),
    "Where does the aardvark live?": ("Aardvark", None),
    "What is an abacus used for?": ("Abacus", None),
    "Who was the first to step onto the lunar surface?": ("Apollo 11", None),
    "From which country did the United States purchase Alaska?": ("Alaska", None),
    "Which war did Achilles take part in?": ("Achilles", None),
}
# Other articles come close: where the aardwolf lives, who flew to the moon first, what the United
# States bought. A model of 135M takes that for evidence.
TOO_NEAR = {
    "Where does the aardvark live?",
    "Who was the first to step onto the lunar surface?",
    "From which country did the United States purchase Alaska?",
}
NOT_IN_HERE = (
    "In which year did Alabama join the Union?",
    "Which team won the football world cup in 2018?",
    "What is the recommended dose of ibuprofen for children?",
    "Which engine does the Ford Mustang have?",
    "How do I reset my router's password?",
    "Who won the tennis tournament at Wimbledon in 2012?",
    "How do I bake bread?",
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def articles() -> Any:
    """The articles of the examples."""
    spec = importlib.util.spec_from_file_location("corpus", ROOT / "examples" / "corpus.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def openings(articles: Any) -> dict[str, str]:
    """What each article begins with, by its title."""
    return {each["title"]: each["text"] for each in articles.read_openings()}


@pytest.fixture(scope="module")
def ranker() -> AttentionRanker:
    """The default, which keeps what it has read from one question to the next."""
    return AttentionRanker.from_pretrained("smollm2-135m")


def chunks(texts: dict[str, str]) -> list[Chunk]:
    """A chunk for each text, under its title."""
    return [Chunk(text, title=title) for title, text in texts.items()]


@pytest.mark.parametrize("question", ANSWERED)
def test_answer_is_found(
    question: str, ranker: AttentionRanker, articles: Any, openings: dict[str, str]
) -> None:
    """With its answer among 48 texts there is evidence, and the answer is first."""
    title, paragraph = ANSWERED[question]
    texts = dict(openings)
    if paragraph is not None:
        whole = next(each["text"] for each in articles.read_articles() if each["title"] == title)
        texts[title] = whole.split("\n\n")[paragraph]
    ranking = ranker.rank(question, chunks(texts))
    assert list(texts)[ranking.chunks[0].index] == title
    assert not ranking.no_evidence


@pytest.mark.parametrize(
    "question",
    [
        pytest.param(one, marks=pytest.mark.xfail(strict=True)) if one in TOO_NEAR else one
        for one in ANSWERED
    ],
)
def test_without_the_answer_there_is_none(
    question: str, ranker: AttentionRanker, openings: dict[str, str]
) -> None:
    """The same texts but for the article that answers are no evidence."""
    title, _ = ANSWERED[question]
    ranking = ranker.rank(question, chunks({t: x for t, x in openings.items() if t != title}))
    assert ranking.no_evidence


@pytest.mark.parametrize("question", NOT_IN_HERE)
def test_none_is_said(question: str, ranker: AttentionRanker, openings: dict[str, str]) -> None:
    """A question that no article answers has no evidence."""
    assert ranker.rank(question, chunks(openings)).no_evidence
