"""The node postprocessor."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from llama_index.core.bridge.pydantic import model_validator
from llama_index.core.callbacks import CBEventType, EventPayload
from llama_index.core.instrumentation import get_dispatcher  # type: ignore[attr-defined]
from llama_index.core.instrumentation.events.rerank import ReRankEndEvent, ReRankStartEvent
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import BaseNode, MetadataMode, NodeWithScore, QueryBundle

from attnmass import WarmResult
from attnmass.adapters.base import UsesRanker
from attnmass.options.declared import option
from llama_index_attn.convert import check_found, check_nodes, check_query, is_text, to_chunk
from llama_index_attn.ranking import rank_nodes

logger = logging.getLogger(__name__)
dispatcher = get_dispatcher(__name__)


class AttentionRerank(UsesRanker, BaseNodePostprocessor):
    """Orders nodes by the attention that the query pays them, keeps the best, and trims them.

    The model loads on first use and is shared by every adapter that names it with the same options.
    Kept nodes are copies; their score is what they are ordered by, in [0, 1]: their share of the
    attention; where `fuse` finds a retriever's scores, the share by both; of a cross-encoder, what
    `rank_by` makes of its logit. All else is as it was, so that a node's hash is the same in every
    call, and fusion and docstores recognise it. More about a call is in `last_ranking`, or with
    `add_scores` in the metadata under `"attnmass"`, hidden from the LLM and the embedder and read
    by `details`: `score`, `retrieval_score`, `rank_before` (position in the input, 0-based),
    `n_tokens`, `model`, `evidence` and `no_evidence` of all nodes together, `hidden_from` (what it
    was hidden from), and `relevance`, `n_windows`, `skipped`, `mass` and `logit` (of a
    cross-encoder) where they apply.

    Nodes are trimmed to their best spans (sentences, list items, tables, ...) if `max_tokens`,
    `keep_ratio` or `top_p` is set; `attnmass.Trim` says how the options combine. Nodes of which
    nothing is kept are left out, blank ones too. Those whose text got shorter lose their
    `embedding`; `start_char_idx` and `end_char_idx` name what is left if that is one slice of the
    parent, else they are `None`. Under `"attnmass"` there are then `spans`, the kept ones, each
    with `id`, `start` and `end` into the text before trimming, `place` in the text now, `doc_start`
    and `doc_end` in the parent's where that is known, and `kind`; with `add_scores` also `score`
    and `reason`; and `n_dropped_spans` and `digest`, of the text now. With `keep_original` there
    is what `restore` needs where the text got shorter: `original_text`, `separator`, `seal`,
    `original_start_char_idx` and `original_end_char_idx`.

    `max_tokens` is a ceiling on what the LLM gets: each node with the metadata that it is shown,
    as its templates render it. A trimmed result that comes in again with the same query and
    options stays as it is; otherwise nodes that this process trimmed with `keep_original` are
    ranked, and trimmed if that is asked for, by their original text; what others wrote under
    `"attnmass"` is never read instead of a text.

    With `dry_run`, all nodes come back ranked and whole, and `AttentionTrimEvent` says what
    trimming would have left; with `keep_ranking`, `last_ranking.saving` says which spans.

    Images and other nodes without text are neither ranked nor counted in `top_n`, and never left
    out: copies of them stay at their position in the list, and the metadata of them that the LLM
    is shown counts in `max_tokens`. Blank texts come last with score 0.0.

    `postprocess_nodes` raises `TypeError` for what is not a node with a score, whatever `on_error`
    is, `ValueError` for a blank query, with `fuse` for nodes without a score, and where no span
    fits `max_tokens`, `WeightsNotFoundError` or `UnsupportedModelError` if the model cannot be
    loaded or read, and `CaptureError` if its attention has NaN; with `on_error="passthrough"` it
    warns instead and returns all candidates as they came, whatever they take. Without a query it
    does the same, and logs a warning. `NoEvidenceError` is raised whatever `on_error` is, and only
    with `on_no_evidence="raise"`.

    Example:
        >>> rerank = AttentionRerank(max_tokens=800)
        >>> engine = index.as_query_engine(similarity_top_k=20, node_postprocessors=[rerank])
    """

    metadata_mode: MetadataMode = option(
        MetadataMode.EMBED, "Which metadata the model reads above the text"
    )

    @model_validator(mode="before")
    @classmethod
    def _ignore_class_name(cls, data: Any) -> Any:
        """Serialized components carry their class's name."""
        if isinstance(data, dict) and data.get("class_name") == cls.class_name():
            return {name: value for name, value in data.items() if name != "class_name"}
        return data

    @classmethod
    def class_name(cls) -> str:
        """The name in serialized pipelines."""
        return "AttentionRerank"

    def warm(self, nodes: Sequence[BaseNode]) -> WarmResult:
        """Read nodes ahead, so that no query has to wait for that; see `AttentionRanker.warm`.

        Args:
            nodes: As they will be retrieved: their metadata is read with them.

        Raises:
            ValueError: If there is no cache to keep them in.
            TypeError: If there is anything other than nodes without scores.
        """
        check_nodes(nodes)
        return self._warm_chunks(
            [to_chunk(node, self.metadata_mode) for node in nodes if is_text(node)]
        )

    async def awarm(self, nodes: Sequence[BaseNode]) -> WarmResult:
        """`warm` in the reranker's own thread, so that the event loop keeps running."""
        return await self._worker.run(self.warm, nodes)

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        check_found(nodes)
        check_query(query_bundle)
        result: list[NodeWithScore] = []
        top_n = len(nodes) if self._n_best is None else self._n_best
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

    def _rank(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None
    ) -> list[NodeWithScore]:
        if nodes and query_bundle is None:
            logger.warning("nodes are not reranked, as there is no query: pass query_str")
        return (
            list(nodes) if query_bundle is None else rank_nodes(self, nodes, query_bundle.query_str)
        )

    async def _apostprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        return await self._worker.run(self._postprocess_nodes, nodes, query_bundle)
