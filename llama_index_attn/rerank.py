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
from llama_index.core.utils import get_tokenizer

from attnmass import CrossOptions, WarmResult
from attnmass.adapters.base import UsesRanker
from attnmass.adapters.reloading import light_tokenizer
from attnmass.engine.worker import Worker
from attnmass.options.cache import CACHE_BYTES, CACHE_FOLDER_BYTES
from attnmass.options.checks import check_type
from attnmass.options.choices import Direction, OnNoEvidence, Order, RankBy
from attnmass.options.fields import DEVICE
from attnmass.profiles import HeadProfile
from attnmass.results import hidden
from llama_index_attn.budget import less, n_tokens, reserve
from llama_index_attn.convert import (
    Rendered,
    as_retrieved,
    check_found,
    check_nodes,
    copy_node,
    is_text,
    to_chunk,
    to_node,
    trim_node,
)
from llama_index_attn.events import AttentionTrimEvent

if TYPE_CHECKING:
    from typing_extensions import Self

    from attnmass import Ranking, Trim


logger = logging.getLogger(__name__)
dispatcher = get_dispatcher(__name__)


class AttentionRerank(UsesRanker, BaseNodePostprocessor):
    """Orders nodes by the attention that the query pays them, keeps the best, and trims them.

    The model loads on first use and is shared by all that name the same one in the same way.
    Kept nodes are copies; their score is their share of the attention, or what `rank_by` makes of a
    cross-encoder's logit, in [0, 1], and what it came from is in their metadata under `"attnmass"`,
    hidden from the LLM and the embedder: `score`, `retrieval_score`, `rank_before` (position in the
    input, 0-based), `n_tokens`, `model`, `evidence` and `no_evidence` of all nodes together,
    `hidden_from` (what it was hidden from), and `fused_score`, `n_windows`, `skipped`, `mass` and
    `logit` (of a cross-encoder) where they apply.

    Nodes are trimmed to their best spans (sentences, list items, tables, ...) if `max_tokens`,
    `keep_ratio` or `top_p` is set; `attnmass.Trim` says how the options combine. Nodes of which
    nothing is kept are left out, blank ones too. Those whose text got shorter lose their
    `embedding`; `start_char_idx` and `end_char_idx` name what is left if that is one slice of the
    parent, else they are `None`. Under `"attnmass"` there are also `spans`, the kept ones, each
    with `id`, `start` and `end` into the text before trimming, `doc_start` and `doc_end` into the
    parent's where that place is known, `score`, `kind` and `reason`; further `n_dropped_spans`,
    `request` (a digest), and where the text got shorter `original_text`, `separator`,
    `original_start_char_idx` and `original_end_char_idx`. `restore` undoes it.

    `max_tokens` is a ceiling on what the LLM gets: each node with the metadata that it is shown,
    as its templates render it. A trimmed result that comes in again with the same query and
    options stays as it is; else nodes that this process trimmed are ranked, and trimmed if that is
    asked for, by their original text; what others wrote under `"attnmass"` is never read instead of
    a text.

    Images and other nodes without text are neither ranked nor counted in `top_n`, and never left
    out: copies of them stay at their position in the list, and what metadata of them the LLM is
    shown counts in `max_tokens`. Blank texts come last with score 0.0.

    `postprocess_nodes` raises `TypeError` for what is no node with a score, whatever `on_error` is,
    `ValueError` for a blank query, with `fuse`, for nodes without a score, and where no span fits
    `max_tokens`, `WeightsNotFoundError` or `UnsupportedModelError` if the model cannot be loaded or
    read, and `CaptureError` if its attention has NaN; with `on_error="passthrough"` it warns
    instead and returns all candidates as they came, whatever they take. So it does, with a logged
    warning, where there is no query. `NoEvidenceError` is raised whatever `on_error` is, and only
    with `on_no_evidence="raise"`.

    Example:
        >>> rerank = AttentionRerank(top_n=None, max_tokens=800)
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
        description="Keep only nodes of at least this score.",
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
    profile: HeadProfile | str | None = Field(
        default=None, description="A head profile, or its path; default: the one that ships."
    )
    heads: tuple[tuple[int, int], ...] | Literal["all"] | None = Field(
        default=None, description="(layer, head) pairs to read instead of a profile's, or all."
    )
    layout: Literal["parallel", "joint", "pointwise"] | None = Field(
        default=None, description="How nodes and query are laid out; default: the model's."
    )
    rank_by: RankBy | None = Field(
        default=None,
        description="What orders nodes; default: a cross-encoder's logit, if it is one.",
    )
    direction: Direction | None = Field(
        default=None,
        description="Which way an encoder's attention is read; default: the head profile's.",
    )
    cross: CrossOptions | None = Field(
        default=None, description="How cross-attention of an encoder-decoder is read."
    )
    max_context_tokens: int | None = Field(
        default=None, ge=1, description="Bound on a context of the layout joint."
    )
    second_pass: bool = Field(
        default=False, description="Whether the layout joint reads nodes in reverse order, too."
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

    keep_ranking: bool = Field(
        default=False, description="Whether last_ranking has the last call's, to draw a heat map."
    )

    order: Order = Field(
        default="score",
        description="Order of the kept nodes: best first by score, input, or best_last.",
    )
    evidence_threshold: float | None = Field(
        default=None,
        allow_inf_nan=False,
        description="Less evidence than this, in [0, 1], is none; default: the head profile's.",
    )
    on_no_evidence: OnNoEvidence = Field(
        default="keep",
        description="Then keep the nodes, return no texts (empty), or raise a NoEvidenceError.",
    )
    max_tokens: int | None = Field(
        default=None, description="Trim to so many tokens, as the LLM gets all kept nodes."
    )
    keep_ratio: float | None = Field(
        default=None, description="Trim to this share of the tokens of all spans."
    )
    top_p: float | None = Field(
        default=None, description="Trim to the best spans with this share of the mass."
    )
    min_keep: int = Field(
        default=1, description="Spans that are kept whatever keep_ratio and top_p say."
    )
    keep_titles: bool = Field(
        default=True, description="Whether the headings over a kept span are kept with it."
    )
    neighbors: int = Field(
        default=0, description="Spans before and after a kept one that are kept if there is room."
    )
    resolve_context: bool = Field(
        default=False,
        description="Whether the earlier span that a kept one leans on is kept if there is room.",
    )
    separator: str = Field(default="…", description="Stands where text was dropped.")
    on_empty: Literal["raise", "empty", "cut"] = Field(
        default="raise",
        description="Where no span fits: an error, no texts, or the beginning of the best span.",
    )
    tokenizer: Any = Field(
        default=None,
        exclude=True,
        description="Counts max_tokens: a tokenizer of transformers, tokenizers or tiktoken, or a "
        "callable; default: LlamaIndex's own. Never serialized, pickled if it can be: what is "
        "built without it counts with the default.",
    )
    language: str | None = Field(
        default=None, description="ISO 639-1 code for the split into sentences; default: by script."
    )

    _ranker: Any = PrivateAttr(default=None)
    _counted: Any = PrivateAttr(default=None)
    _last_ranking: Any = PrivateAttr(default=None)
    _worker: Worker = PrivateAttr(default_factory=Worker)

    @model_validator(mode="before")
    @classmethod
    def _ignore_class_name(cls, data: Any) -> Any:
        """Serialized components carry their class's name."""
        if isinstance(data, dict) and data.get("class_name") == cls.class_name():
            data = {name: value for name, value in data.items() if name != "class_name"}
        return cls._check_names(data)

    @model_validator(mode="after")
    def _check_contradictions(self) -> Self:
        self._check_options()
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
            TypeError: If there is something else than nodes without scores.
        """
        check_nodes(nodes)
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
        check_found(nodes)
        check_type("query_bundle", query_bundle, QueryBundle, optional="no query")
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
        query = query_bundle.query_str
        trim = self._trim(get_tokenizer)
        if trim is not None and self._has_trimmed(nodes, query, trim):
            return [copy_node(found) for found in nodes]
        nodes = [as_retrieved(found) for found in nodes]
        places = [place for place, found in enumerate(nodes) if is_text(found.node)]
        if not places:
            return [copy_node(found) for found in nodes]
        if trim is None:
            return self._rank_texts(nodes, places, query)[1]
        return self._trim_texts(nodes, places, query, trim)

    def _rank_texts(
        self,
        nodes: list[NodeWithScore],
        places: list[int],
        query: str,
        trim: Trim | None = None,
    ) -> tuple[Ranking, list[NodeWithScore]]:
        """Rank the nodes at `places`; all others stay where they are."""
        texts = [nodes[place] for place in places]
        ranking = self._rank_chunks(
            query,
            [to_chunk(found.node, self.metadata_mode) for found in texts],
            [found.score for found in texts],
            trim,
            None if trim is None else Rendered([found.node for found in texts]),
        )
        result = []
        for chunk in ranking.chunks:
            place = places[chunk.index]
            node = to_node(nodes[place], chunk, ranking, place=place, model=self.model)
            if trim is not None:
                trim_node(node, chunk, trim.separator)
            result.append(node)
        for place in sorted(set(range(len(nodes))) - set(places)):
            result.insert(place, copy_node(nodes[place]))
        return ranking, result

    def _trim_texts(
        self, nodes: list[NodeWithScore], places: list[int], query: str, trim: Trim
    ) -> list[NodeWithScore]:
        """`_rank_texts` within the budget that nodes without text leave."""
        taken = reserve(trim, [found for place, found in enumerate(nodes) if place not in places])
        while True:  # once, unless the tokenizer makes more of texts together than of each
            ranking, result = self._rank_texts(nodes, places, query, less(trim, taken))
            after = n_tokens(trim, result)
            if trim.max_tokens is None or after <= trim.max_tokens:
                break
            taken += after - trim.max_tokens
        request = self._request(query, _texts(result), after)
        for found in result:
            if is_text(found.node):
                found.node.metadata[hidden.KEY]["request"] = request
        spans = [span for chunk in (*ranking.chunks, *ranking.dropped) for span in chunk.spans]
        n_kept = sum(span.kept for span in spans)
        dispatcher.event(
            AttentionTrimEvent(
                n_nodes_before=len(nodes),
                n_nodes_after=len(result),
                n_tokens_before=n_tokens(trim, nodes),
                n_tokens_after=after,
                n_spans_kept=n_kept,
                n_spans_dropped=len(spans) - n_kept,
                evidence=ranking.evidence,
                no_evidence=ranking.no_evidence,
            )
        )
        return result

    def _has_trimmed(self, nodes: list[NodeWithScore], query: str, trim: Trim) -> bool:
        """Whether the nodes are what this reranker made of them for this query."""
        ours = [hidden.read(found.node.metadata) for found in nodes if is_text(found.node)]
        return self._is_settled(query, ours, _texts(nodes), lambda: n_tokens(trim, nodes))

    def __getstate__(self) -> dict[str, Any]:
        """Weights stay behind."""
        light = self.model_copy(update={"tokenizer": light_tokenizer(self.tokenizer)})
        light._ranker = light._counted = light._last_ranking = None
        return super(AttentionRerank, light).__getstate__()

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """The copy shares the ranker, the tokenizer and the callback manager."""
        memo = {} if memo is None else memo
        for shared in (
            self._ranker,
            self._counted,
            self._last_ranking,
            self.tokenizer,
            self.callback_manager,
        ):
            memo[id(shared)] = shared
        return super().__deepcopy__(memo)


def _texts(nodes: list[NodeWithScore]) -> list[tuple[str | None, str]]:
    """Ids and texts of those that have some."""
    texts = [found.node for found in nodes if is_text(found.node)]
    return [(node.node_id, node.get_content(MetadataMode.NONE)) for node in texts]
