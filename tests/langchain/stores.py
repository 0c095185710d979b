"""Vector stores that tell their scores in ways of their own, or not at all."""

from __future__ import annotations

from typing import Any

from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.vectorstores import InMemoryVectorStore

from tests.langchain.support import make_documents


class DistanceStore(InMemoryVectorStore):
    """A store whose scores are distances: the best has the lowest."""

    def similarity_search_with_score(
        self, query: str, k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """Distances instead of similarities."""
        found = super().similarity_search_with_score(query, k, **kwargs)
        return [(document, 1 - score) for document, score in found]

    async def asimilarity_search_with_score(
        self, query: str, k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """Distances instead of similarities."""
        return self.similarity_search_with_score(query, k, **kwargs)


class RelevanceStore(InMemoryVectorStore):
    """A store that brings its scores onto a scale of its own where that is asked for."""

    def _select_relevance_score_fn(self) -> Any:
        return lambda score: (1 + score) / 2


class RelevanceOnlyStore(RelevanceStore):
    """One that tells its scores on that scale alone."""

    def similarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
        """The documents alone."""
        return self.similarity_search_by_vector(self.embedding.embed_query(query), k, **kwargs)

    def similarity_search_with_score(self, *args: Any, **kwargs: Any) -> Any:
        """Nothing to tell."""
        raise NotImplementedError

    async def asimilarity_search_with_score(self, *args: Any, **kwargs: Any) -> Any:
        """Nothing to tell."""
        raise NotImplementedError

    def similarity_search_with_relevance_scores(
        self, query: str, k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """Its similarities, halved and lifted."""
        vector = self.embedding.embed_query(query)
        found = self.similarity_search_with_score_by_vector(vector, k)
        return [(document, (1 + score) / 2) for document, score in found]

    async def asimilarity_search_with_relevance_scores(
        self, query: str, k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """The same."""
        return self.similarity_search_with_relevance_scores(query, k, **kwargs)


class ScorelessStore(InMemoryVectorStore):
    """A store that knows no scores."""

    def similarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
        """The documents alone."""
        return self.similarity_search_by_vector(self.embedding.embed_query(query), k, **kwargs)

    async def asimilarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
        """The documents alone."""
        return self.similarity_search(query, k, **kwargs)

    def similarity_search_with_score(self, *args: Any, **kwargs: Any) -> Any:
        """Nothing to tell."""
        raise NotImplementedError

    async def asimilarity_search_with_score(self, *args: Any, **kwargs: Any) -> Any:
        """Nothing to tell."""
        raise NotImplementedError


def filled(kind: type[InMemoryVectorStore]) -> InMemoryVectorStore:
    """A store with the documents."""
    store = kind(DeterministicFakeEmbedding(size=8))
    store.add_documents(make_documents())
    return store
