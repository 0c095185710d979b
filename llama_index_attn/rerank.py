"""The node postprocessor."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from llama_index.core.bridge.pydantic import (
    ConfigDict,
    Field,
    PrivateAttr,
    field_validator,
    model_validator,
)
from llama_index.core.callbacks import CBEventType, EventPayload
from llama_index.core.instrumentation import get_dispatcher  # type: ignore[attr-defined]
from llama_index.core.instrumentation.events.rerank import ReRankEndEvent, ReRankStartEvent
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import BaseNode, MetadataMode, NodeWithScore, QueryBundle

from attnmass import WarmResult
from attnmass.adapter import DEVICE, UsesRanker
from attnmass.cache_options import CACHE_BYTES, CACHE_FOLDER_BYTES
from attnmass.worker import Worker
from llama_index_attn.convert import copy_node, is_text, to_chunk, to_node

if TYPE_CHECKING:
    from typing_extensions import Self


logger = logging.getLogger(__name__)
dispatcher = get_dispatcher(__name__)


class AttentionRerank(UsesRanker, BaseNodePostprocessor):
    """Orders nodes by the attention that the query pays them, and keeps the best `top_n`.

    The model loads on first use and is shared by all that name the same one in the same way.
    Kept nodes are copies; their score is the attention mass, in [0, 1], and what it came from is
    in their metadata under `"attnmass"`, hidden from the LLM and the embedder: `score`,
    `retrieval_score`, `rank_before` (position in the input, 0-based), `n_tokens`, `model`, and
    `fused_score`, `n_windows`, `skipped` where they apply.

    Images and other nodes without text are neither ranked nor counted in `top_n`: copies of them
    stay at their position in the list. Blank texts come last with score 0.0.

    `postprocess_nodes` raises `ValueError` for a blank query and, with `fuse`, for nodes without a
    score, `WeightsNotFoundError` or `UnsupportedModelError` if the model cannot be loaded or read,
    and `CaptureError` if its attention has NaN; with `on_error="passthrough"` it warns instead and
    returns all candidates as they came. So it does, with a logged warning, where there is no query.

    Example:
        >>> rerank = AttentionRerank(top_n=3)
        >>> engine = index.as_query_engine(similarity_top_k=20, node_postprocessors=[rerank])
    """

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    model: str = Field(
        default="smollm2-135m",
        description="Short name, folder, GGUF file or Hugging Face repository of the model.",
    )
    top_n: int | None = Field(
        default=5, ge=1, description="Keep the best so many nodes; None for all."
    )
    score_threshold: float | None = Field(
        default=None,
        allow_inf_nan=False,
        description="Keep only nodes of at least this attention mass.",
    )
    device: str | None = Field(
        default=None, pattern=DEVICE, description="Where the model runs; default: the best."
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto", description="Number format; auto: the fastest that the device does well."
    )
    batch_size: int | None = Field(
        default=None, ge=1, description="Nodes in one forward pass; default: as memory allows."
    )
    metadata_mode: MetadataMode = Field(
        default=MetadataMode.EMBED, description="Which metadata the model reads above the text."
    )
    fuse: float | None = Field(
        default=None, ge=0, le=1, description="Share of the retriever's score in the order."
    )
    on_error: Literal["raise", "passthrough"] = Field(
        default="raise", description="What a failure does: an error, or the untouched candidates."
    )
    profile: str | None = Field(
        default=None, description="Path of a head profile; default: the one that ships."
    )
    heads: tuple[tuple[int, int], ...] | None = Field(
        default=None, description="(layer, head) pairs to read instead of a profile's."
    )
    revision: str | None = Field(default=None, description="Branch, tag or commit on the Hub.")
    cache_dir: str | None = Field(default=None, description="Folder of the Hub's cache.")
    local_files_only: bool = Field(default=False, description="Never ask the Hub.")
    cache_bytes: int | None = Field(
        default=CACHE_BYTES,
        ge=0,
        description="Bytes of memory in which nodes that were read are kept; 0 for none.",
    )
    cache_folder: str | None = Field(
        default=None, description="Folder where they are kept beyond the process."
    )
    cache_folder_bytes: int | None = Field(
        default=CACHE_FOLDER_BYTES, ge=1, description="Bound on that folder in bytes."
    )
    cache_format: Literal["float16", "bfloat16", "int8"] | None = Field(
        default=None, description="A smaller format to keep them in; default: the model's."
    )
    show_progress: bool = Field(
        default=False, description="Whether to show a progress bar while nodes are read."
    )

    _ranker: Any = PrivateAttr(default=None)
    _worker: Worker = PrivateAttr(default_factory=Worker)

    @model_validator(mode="before")
    @classmethod
    def _ignore_class_name(cls, data: Any) -> Any:
        """Serialized components carry their class's name."""
        if isinstance(data, dict) and data.get("class_name") == cls.class_name():
            return {name: value for name, value in data.items() if name != "class_name"}
        return data

    @model_validator(mode="after")
    def _check_contradictions(self) -> Self:
        if self.profile is not None and self.heads is not None:
            raise ValueError("pass profile or heads, not both")
        self._check_cache()
        return self

    @field_validator("model", "profile", "cache_dir", "cache_folder", mode="before")
    @classmethod
    def _accept_paths(cls, value: Any) -> Any:
        return os.fspath(value) if isinstance(value, os.PathLike) else value

    @classmethod
    def class_name(cls) -> str:
        """The name in serialized pipelines."""
        return "AttentionRerank"

    def warm(self, nodes: Sequence[BaseNode]) -> WarmResult:
        """Read nodes ahead, so that no query has to wait for it; see `AttentionRanker.warm`.

        Args:
            nodes: As they will be retrieved: their metadata is read with them.

        Raises:
            ValueError: If there is no cache to keep them in.
        """
        chunks = [to_chunk(node, self.metadata_mode) for node in nodes if is_text(node)]
        if not chunks:
            return WarmResult(read=0, skipped=0, unreadable=0, evicted=0)
        return self._load().warm(
            chunks, batch_size=self.batch_size, progress=self.show_progress or None
        )

    async def awarm(self, nodes: Sequence[BaseNode]) -> WarmResult:
        """`warm` in a thread of the reranker's own, so that the event loop goes on."""
        return await self._worker.run(self.warm, nodes)

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        result: list[NodeWithScore] = []
        top_n = len(nodes) if self.top_n is None else self.top_n
        started = ReRankStartEvent(
            query=query_bundle, nodes=nodes, top_n=top_n, model_name=self.model
        )
        payload: dict[str, Any] = {
            EventPayload.NODES: nodes,
            EventPayload.MODEL_NAME: self.model,
            EventPayload.QUERY_STR: query_bundle.query_str if query_bundle else None,
            EventPayload.TOP_K: top_n,
        }
        dispatcher.event(started)
        try:
            with self.callback_manager.event(CBEventType.RERANKING, payload=payload) as event:
                result = self._or_untouched(lambda: self._rank(nodes, query_bundle), list(nodes))
                event.on_end(payload={EventPayload.NODES: result})
        finally:
            dispatcher.event(ReRankEndEvent(nodes=result))
        return result

    async def _apostprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        return await self._worker.run(self._postprocess_nodes, nodes, query_bundle)

    def _rank(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None
    ) -> list[NodeWithScore]:
        if not nodes:
            return []
        if query_bundle is None:
            logger.warning("nodes are not reranked: there is no query to rank them by")
            return list(nodes)
        places = [place for place, found in enumerate(nodes) if is_text(found.node)]
        result = self._rank_texts(nodes, places, query_bundle.query_str) if places else []
        for place in sorted(set(range(len(nodes))) - set(places)):
            result.insert(place, copy_node(nodes[place]))
        return result

    def _rank_texts(
        self, nodes: list[NodeWithScore], places: list[int], query: str
    ) -> list[NodeWithScore]:
        ranking = self._load().rank(
            query,
            [to_chunk(nodes[place].node, self.metadata_mode) for place in places],
            top_n=self.top_n,
            score_threshold=self.score_threshold,
            retrieval_scores=[nodes[place].score for place in places],
            fuse=self.fuse,
            batch_size=self.batch_size,
            progress=self.show_progress or None,
        )
        ranked = [(places[chunk.index], chunk) for chunk in ranking.chunks]
        return [
            to_node(nodes[place], chunk, rank_before=place, model=self.model)
            for place, chunk in ranked
        ]

    def __getstate__(self) -> dict[str, Any]:
        """Weights stay behind."""
        light = self.model_copy()
        light._ranker = None
        return super(AttentionRerank, light).__getstate__()

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """The copy shares the ranker and the callback manager."""
        memo = {} if memo is None else memo
        for shared in (self._ranker, self.callback_manager):
            memo[id(shared)] = shared
        return super().__deepcopy__(memo)
