"""The step of an ingestion pipeline that reads nodes ahead of all queries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llama_index.core.bridge.pydantic import ConfigDict, Field
from llama_index.core.schema import BaseNode, TransformComponent

from attnmass.adapters.fields import Sound
from llama_index_attn.rerank import AttentionRerank


class AttentionWarmer(Sound, TransformComponent):
    """Reads nodes into the chunk cache of a reranker, and passes them on as they are.

    Put it after everything that changes text or metadata. With `num_workers`, or where queries are
    answered by another process, the reranker needs a `store`. Nodes that the pipeline's own cache
    knows do not come here; what is missing is then read by the first query that needs it.

    Example:
        >>> rerank = AttentionRerank(store="chunks")
        >>> pipeline = IngestionPipeline(transformations=[splitter, AttentionWarmer(rerank=rerank)])
    """

    model_config = ConfigDict(extra="forbid")

    rerank: AttentionRerank = Field(
        default_factory=AttentionRerank, description="The reranker that will rank the nodes."
    )

    @classmethod
    def class_name(cls) -> str:
        """The name in serialized pipelines."""
        return "AttentionWarmer"

    def __call__(self, nodes: Sequence[BaseNode], **kwargs: Any) -> Sequence[BaseNode]:
        """Read the nodes; what is already in the cache is skipped.

        Args:
            nodes: What the pipeline made; not changed.
            **kwargs: What the pipeline tells all its steps; not used.

        Returns:
            The same nodes.

        Raises:
            ValueError: If the reranker has no cache.
            AttnMassError: If its model cannot be loaded or read.
        """
        self.rerank.warm(nodes)
        return nodes

    async def acall(self, nodes: Sequence[BaseNode], **kwargs: Any) -> Sequence[BaseNode]:
        """`__call__` in the reranker's own thread, so that the event loop keeps running."""
        await self.rerank.awarm(nodes)
        return nodes
