"""A labelled query and its chunks."""

from __future__ import annotations

from dataclasses import dataclass

Sentence = tuple[int, int, bool]


@dataclass(frozen=True, slots=True)
class LabelledChunk:
    """One candidate of a query.

    Attributes:
        text: What it says.
        relevant: How much it supports the answer: 0 for not at all, usually 1 otherwise.
        id: Its id, unique among the query's.
        title: A line that the model reads before the text.
        retrieval_scores: The scores that one or more retrievers gave it, in the same order
            everywhere.
        sentences: `[start, end)` in characters into the text, and whether the sentence supports the
            answer; `None` where sentences are not labelled.
    """

    text: str
    relevant: float
    id: str
    title: str | None = None
    sentences: tuple[Sentence, ...] | None = None
    retrieval_scores: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class LabelledQuery:
    """One query.

    Attributes:
        query: The question.
        chunks: Its candidates: at least two, at least one relevant.
        id: Its id, unique in its set.
        place: Where it was read from, for messages.
        answers: Strings any one of which is the answer, where they are known.
    """

    query: str
    chunks: tuple[LabelledChunk, ...]
    id: str
    place: str
    answers: tuple[str, ...] = ()

    @property
    def retrieval_scores(self) -> tuple[tuple[float, ...], ...]:
        """The scores of the chunks by each retriever that scored all of them."""
        if not all(chunk.retrieval_scores for chunk in self.chunks):
            return ()
        return tuple(zip(*(chunk.retrieval_scores for chunk in self.chunks), strict=False))

    @property
    def relevant(self) -> tuple[float, ...]:
        """The label of each chunk."""
        return tuple(chunk.relevant for chunk in self.chunks)

    @property
    def all_relevant(self) -> bool:
        """Whether no order of its chunks is wrong, so that it teaches nothing."""
        return all(label > 0 for label in self.relevant)

    @property
    def has_sentences(self) -> bool:
        """Whether the sentences of all its chunks are labelled."""
        return all(chunk.sentences is not None for chunk in self.chunks)
