"""Embedding models of three frameworks that tests can foretell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

# What texts are about; a vector has a place for each.
WORDS = ("relativity", "theory", "river", "train", "music", "")


def vector(text: str) -> list[float]:
    """How often each of the words is in a text; the last is in all."""
    return [float(text.lower().count(word)) if word else 0.5 for word in WORDS]


class Noted:
    """What was embedded, call by call."""

    def __init__(self) -> None:
        self.queries: list[str] = []
        self.batches: list[list[str]] = []

    @property
    def texts(self) -> list[str]:
        """All texts but queries."""
        return [text for batch in self.batches for text in batch]

    def one(self, text: str) -> Any:
        """A query's vector."""
        self.queries.append(text)
        return vector(text)

    def many(self, texts: Sequence[str]) -> Any:
        """Vectors of texts."""
        self.batches.append(list(texts))
        return [vector(text) for text in texts]


class OfLangChain(Noted):
    """As `langchain_core.embeddings.Embeddings`."""

    def embed_query(self, text: str) -> Any:
        """One."""
        return self.one(text)

    def embed_documents(self, texts: list[str]) -> Any:
        """Many."""
        return self.many(texts)


class OfLlamaIndex(Noted):
    """As LlamaIndex's `BaseEmbedding`."""

    def get_query_embedding(self, query: str) -> Any:
        """One."""
        return self.one(query)

    def get_text_embedding_batch(self, texts: list[str], show_progress: bool = False) -> Any:
        """Many."""
        return self.many(texts)


class OfSentenceTransformers(Noted):
    """As `SentenceTransformer` was before it told queries from documents."""

    def encode(self, sentences: list[str], **options: Any) -> Any:
        """Many; the first text that is asked for alone is the query."""
        assert options == {"show_progress_bar": False, "convert_to_numpy": True}
        if len(sentences) == 1 and not self.queries:
            return np.array([self.one(sentences[0])], dtype=np.float32)
        return np.array(self.many(sentences), dtype=np.float32)


class WithPrompts(Noted):
    """As `SentenceTransformer`, which tells queries from documents."""

    def encode(self, sentences: list[str], **options: Any) -> Any:
        """What says nothing of what a text is."""
        raise AssertionError(sentences)

    def encode_query(self, sentences: list[str], **options: Any) -> Any:
        """Queries."""
        return np.array([self.one(text) for text in sentences], dtype=np.float32)

    def encode_document(self, sentences: list[str], **options: Any) -> Any:
        """Texts."""
        return np.array(self.many(sentences), dtype=np.float32)


KINDS = (OfLangChain, OfLlamaIndex, OfSentenceTransformers, WithPrompts)
