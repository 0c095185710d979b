"""The document transformer that reads documents ahead of all queries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.documents import BaseDocumentTransformer, Document

from attnmass.options.checks import check_type
from attnmass.options.keywords import names_nearest
from langchain_attn.rerank import AttentionRerank


@names_nearest
class AttentionWarmer(BaseDocumentTransformer):
    """Reads documents into the chunk cache of a reranker, and passes them on as they are.

    Put it after everything that changes text or metadata, before documents are stored. Where
    queries are answered by another process, the reranker needs a `store`.
    """

    def __init__(self, rerank: AttentionRerank | None = None) -> None:
        """Warm for one reranker.

        Args:
            rerank: The reranker that will rank the documents; default: one with all defaults.
        """
        check_type("rerank", rerank, AttentionRerank, optional="one with all defaults")
        self.rerank = AttentionRerank() if rerank is None else rerank

    @property
    def rerank(self) -> AttentionRerank:
        """The reranker; what is assigned is checked."""
        return self._rerank

    @rerank.setter
    def rerank(self, rerank: AttentionRerank) -> None:
        check_type("rerank", rerank, AttentionRerank)
        self._rerank = rerank

    def transform_documents(
        self, documents: Sequence[Document], **kwargs: Any
    ) -> Sequence[Document]:
        """Read the documents; what is already in the cache is skipped.

        Args:
            documents: Not changed.
            **kwargs: Not used.

        Returns:
            The same documents.

        Raises:
            ValueError, AttnMassError: As `AttentionRerank.warm`.
        """
        self.rerank.warm(documents)
        return documents

    async def atransform_documents(
        self, documents: Sequence[Document], **kwargs: Any
    ) -> Sequence[Document]:
        """`transform_documents` in the reranker's own thread."""
        await self.rerank.awarm(documents)
        return documents
