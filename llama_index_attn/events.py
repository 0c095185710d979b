"""What is reported besides LlamaIndex's own events."""

from __future__ import annotations

from llama_index.core.bridge.pydantic import Field
from llama_index.core.instrumentation.events import BaseEvent


class AttentionTrimEvent(BaseEvent):
    """Nodes were trimmed; comes between the start and the end event of their reranking."""

    n_nodes_before: int = Field(description="Nodes that came in.")
    n_nodes_after: int = Field(description="Nodes that are returned.")
    n_tokens_before: int = Field(description="What the reader would have got, in its tokens.")
    n_tokens_after: int = Field(description="What it gets.")
    n_spans_kept: int = Field(description="Spans (sentences and the like) that are returned.")
    n_spans_dropped: int = Field(description="Spans of all nodes that are not.")
    dry_run: bool = Field(default=False, description="Whether nothing was trimmed, only told.")
    evidence: float = Field(description="How much the query's attention found, in [0, 1].")
    no_evidence: bool = Field(description="Whether that is too little.")

    @classmethod
    def class_name(cls) -> str:
        """The event's name in logs and traces."""
        return "AttentionTrimEvent"
