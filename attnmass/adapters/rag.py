"""Hugging Face RAG: a model's own retrieval, ranked by its generator's cross-attention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from attnmass.capture.rag import QuestionEncoder
from attnmass.ranker import AttentionRanker
from attnmass.results.ranking import Ranking
from attnmass.text.chunk import Chunk
from attnmass.text.inputs import as_queries
from attnmass.text.tokens import PlainTokenizer


@dataclass(frozen=True, slots=True)
class RagResult:
    """What one question found.

    Attributes:
        documents: As they were retrieved, best first.
        ranking: That of these documents; `index` is the place in `documents`.
    """

    documents: tuple[Chunk, ...]
    ranking: Ranking


class RagSearch:
    """Retrieves with a RAG model's question encoder and index, and ranks by its generator.

    Example:
        >>> model = RagSequenceForGeneration.from_pretrained("facebook/rag-sequence-nq")
        >>> search = RagSearch(model, tokenizer, retriever)
        >>> result = search("Who invented the theory of relativity?", n_docs=5)
        >>> result.documents[result.ranking.chunks[0].index].text
        'Albert Einstein, a physicist, developed the theory of relativity in 1905.'
    """

    def __init__(self, model: nn.Module, tokenizer: Any, retriever: Any, **options: Any) -> None:
        """Prepare a RAG model; nothing in it is changed.

        Args:
            model: A `RagSequenceForGeneration` or `RagTokenForGeneration`.
            tokenizer: Its `RagTokenizer`.
            retriever: A `RagRetriever` (which needs the packages `datasets` and `faiss-cpu`), or
                anything that has its method `retrieve`.
            **options: Those of `AttentionRanker`.

        Raises:
            UnsupportedModelError: If it is not a RAG model.
            TypeError: If the retriever is not one.
            ValueError: As in `AttentionRanker`.
        """
        if not callable(getattr(retriever, "retrieve", None)):
            raise TypeError(
                f"{type(retriever).__name__} has no method retrieve: pass a RagRetriever"
            )
        self._encode = QuestionEncoder(model)
        self._plain = PlainTokenizer(tokenizer.question_encoder)
        self._retriever = retriever
        self.ranker = AttentionRanker(model, tokenizer, **options)

    def retrieve(self, question: str, *, n_docs: int = 5) -> tuple[list[Chunk], list[float]]:
        """Documents, and the question encoder's score for each, its inner product with theirs.

        Args:
            question: The question.
            n_docs: How many documents.

        Raises:
            ValueError: If the question is blank or `n_docs` less than 1.
        """
        (question,) = as_queries([question])
        if n_docs < 1:
            raise ValueError(f"n_docs must be at least 1, not {n_docs}")
        vector = self._encode(self._plain.as_reader().encode(question.strip()).ids)
        embeddings, _, found = self._retriever.retrieve(vector, n_docs)
        scores = np.asarray(embeddings, dtype=np.float32)[0] @ vector[0]
        titles: Sequence[str] = found[0].get("title") or [""] * len(scores)
        documents = [
            Chunk(text, title or None) for text, title in zip(found[0]["text"], titles, strict=True)
        ]
        return documents, [float(score) for score in scores]

    def __call__(
        self, question: str, *, n_docs: int = 5, prior: float | None = None, **options: Any
    ) -> RagResult:
        """Retrieve documents and rank them.

        Args:
            question: The question.
            n_docs: How many documents to retrieve.
            prior: Share of the question encoder's scores in the order, in [0, 1], as `fuse` in
                `AttentionRanker.rank`; default: the generator's attention alone.
            **options: Those of `AttentionRanker.rank`.

        Raises:
            ValueError: As in `retrieve` and `AttentionRanker.rank`.
        """
        documents, scores = self.retrieve(question, n_docs=n_docs)
        ranking = self.ranker.rank(
            question, documents, retrieval_scores=scores, fuse=prior, **options
        )
        return RagResult(tuple(documents), ranking)
