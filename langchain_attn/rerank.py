"""The document compressor: LangChain documents ordered by the attention that a query pays them."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from langchain_core.callbacks import dispatch_custom_event
from langchain_core.documents import BaseDocumentCompressor, Document
from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda
from pydantic import (
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from attnmass import CrossOptions, WarmResult
from attnmass.adapters.base import UsesRanker
from attnmass.adapters.reloading import light_tokenizer
from attnmass.engine.worker import Worker
from attnmass.options.cache import CACHE_BYTES, CACHE_FOLDER_BYTES
from attnmass.options.choices import Direction, OnNoEvidence, Order, RankBy
from attnmass.options.fields import DEVICE
from attnmass.profiles import HeadProfile
from attnmass.results import hidden
from langchain_attn import convert
from langchain_attn.template import PLAIN, Template

if TYPE_CHECKING:
    from langchain_core.callbacks import Callbacks
    from typing_extensions import Self

    from attnmass import Ranking, Trim
    from attnmass.trimming import Render


_logger = logging.getLogger(__name__)


class AttentionRerank(UsesRanker, BaseDocumentCompressor):
    r"""Ranks documents by the attention that a query pays them, keeps the best, and trims them.

    The model loads on first use and is shared by every adapter that names it with the same
    options. Results are copies; their metadata has the share of attention as `relevance_score` (or
    what `rank_by` makes of a cross-encoder's logit), and under `attnmass` what it came from:
    `score`, `retrieval_score`, `rank_before` (position in the input, 0-based), `n_tokens`, `model`,
    `evidence` and `no_evidence` of all documents together, and `fused_score`, `n_windows`,
    `skipped`, `mass` and `logit` (of a cross-encoder), `score_before` (an earlier
    `relevance_score`) where they apply. One instance may be called from many threads.

    Documents are trimmed to their best spans (sentences, list items, tables, ...) if `max_tokens`,
    `keep_ratio` or `top_p` is set; `attnmass.Trim` says how the options combine. Documents of which
    nothing is kept are left out, blank ones too. A `start_index`, as text splitters write it, is
    taken for the document's place in the one that it is part of; where the text got shorter it
    names what is left if that is one slice of that document, else it is taken out. Under `attnmass`
    there are also `spans`, the kept ones, each with `id`, `start` and `end` into the text before
    trimming, `doc_start` and `doc_end` where a `start_index` was there, `score`, `kind` and
    `reason`; further `n_dropped_spans`, `request` (a digest), and where the text got shorter
    `original_text`, `separator` and `original_start_index`. `langchain_attn.restore` undoes it.

    A trimmed result that comes in again with the same query and options stays as it is; else
    documents that this process trimmed are ranked, and trimmed if that is asked for, by their
    original text; what others wrote under `attnmass` is never read instead of a text. Each trimming
    is told to callbacks as a custom event `attnmass_trim`.

    Attributes:
        model: As in `AttentionRanker.from_pretrained`: a folder, a GGUF file, a short name, or a
            repository of the Hugging Face Hub.
        top_n: Keep the best so many; `None` for all.
        score_threshold: Keep only documents of at least this score.
        device: Where the model runs; default: the best there is.
        dtype: Number format; `"auto"` is the fastest that the device does well.
        batch_size: Documents in one forward pass; default: as many as are fast.
        document_template: What the model reads of a document, such as
            `"{title}\n{page_content}"`, over its metadata; default: its text.
        reader_template: What the reader gets of a document, as `document_prompt` says to
            `create_stuff_documents_chain`, documents joined by blank lines; `max_tokens` counts
            that. It cannot name what is not known before documents are trimmed:
            `relevance_score`, `attnmass`, `start_index`.
        fuse: Share of the retriever's score in the order, in [0, 1]; default: none of it.
        score_key: The metadata key where the retriever's score is found.
        on_error: `"raise"`, or `"passthrough"`: the documents come back untouched, all of them
            and in order, whatever they take, with a warning.
        profile: A head profile, or its file; default: the one that ships for the model.
        heads: `(layer, head)` pairs to read instead of a profile's, or `"all"`.
        layout: How documents and query are laid out; default: as suits the kind of model.
        rank_by: `"attention"`, `"logit"` or `"both"`; default: a cross-encoder's logit, of which
            scores are then the sigmoids, else attention.
        direction: Which way an encoder's attention is read; default: the head profile's.
        cross: How cross-attention of an encoder-decoder is read; `CrossOptions`, or a mapping of
            its fields.
        max_context_tokens: Bound on a context of the layout `"joint"`; default: the model's own.
        second_pass: Whether the layout `"joint"` reads documents in reverse order, too.
        revision: Branch, tag or commit on the Hub.
        cache_dir: The Hub's cache.
        local_files_only: Never ask the Hub.
        cache_bytes: Bytes of memory in which documents that were read are kept; 0 for none.
        cache_folder: Folder where they are kept beyond the process.
        cache_folder_bytes: Bound on that folder in bytes.
        cache_format: A smaller format to keep them in; default: the model's.
        show_progress: Whether to show a progress bar while documents are read.
        keep_ranking: Whether `last_ranking` has the last call's, to draw a heat map.
        order: How kept documents are ordered: best first by `"score"`, as in the `"input"`, or
            `"best_last"`, next to a question that follows them.
        evidence_threshold: Less evidence than this, in [0, 1], is none; default: the head
            profile's.
        on_no_evidence: Then `"keep"` the documents all the same, return none (`"empty"`), or
            `"raise"` a `NoEvidenceError`, whatever `on_error` is.
        max_tokens: Trim to so many tokens, as the reader gets all kept documents.
        keep_ratio: Trim to this share of the tokens of all spans, in (0, 1].
        top_p: Trim to the best spans with this share of the attention mass, in (0, 1].
        min_keep: Spans that are kept whatever `keep_ratio` and `top_p` say.
        keep_titles: Whether the headings over a kept span are kept with it.
        neighbors: Spans before and after a kept one that are kept if there is room.
        resolve_context: Whether the earlier span that a kept one leans on is kept if there is room.
        separator: Stands where text was dropped.
        on_empty: Where no span fits: `"raise"` a `ValueError`, return nothing (`"empty"`), or
            `"cut"` the best span to its beginning.
        tokenizer: Counts `max_tokens`: a tokenizer of transformers, tokenizers or tiktoken, or a
            callable from a text to its tokens or their number, such as `llm.get_num_tokens`;
            default: the ranking model's own, which needs no network. It is never dumped, and
            pickled if it can be: what is built without it counts with the default.
        language: ISO 639-1 code for the split into sentences; default: by script.

    Raises:
        ValidationError: On unknown fields and bad values; a `ValueError`.
    """

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    model: str = "smollm2-135m"
    top_n: int | None = Field(default=5, ge=1)
    score_threshold: float | None = Field(default=None, allow_inf_nan=False)
    device: str | None = Field(default=None, pattern=DEVICE)
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    batch_size: int | None = Field(default=None, ge=1)
    document_template: str | None = None
    reader_template: str = PLAIN
    fuse: float | None = Field(default=None, ge=0, le=1, allow_inf_nan=False)
    score_key: str = convert.SCORE_KEY
    on_error: Literal["raise", "passthrough"] = "raise"
    profile: HeadProfile | str | None = None
    heads: tuple[tuple[int, int], ...] | Literal["all"] | None = None
    layout: Literal["parallel", "joint", "pointwise"] | None = None
    rank_by: RankBy | None = None
    direction: Direction | None = None
    cross: CrossOptions | None = None
    max_context_tokens: int | None = Field(default=None, ge=1)
    second_pass: bool = False
    revision: str | None = None
    cache_dir: str | None = None
    local_files_only: bool = False
    cache_bytes: int | None = Field(default=CACHE_BYTES, ge=0)
    cache_folder: str | None = None
    cache_folder_bytes: int | None = Field(default=CACHE_FOLDER_BYTES, ge=1)
    cache_format: Literal["float16", "bfloat16", "int8"] | None = None
    show_progress: bool = False
    keep_ranking: bool = False
    order: Order = "score"
    evidence_threshold: float | None = Field(default=None, allow_inf_nan=False)
    on_no_evidence: OnNoEvidence = "keep"
    max_tokens: int | None = None
    keep_ratio: float | None = None
    top_p: float | None = None
    min_keep: int = 1
    keep_titles: bool = True
    neighbors: int = 0
    resolve_context: bool = False
    separator: str = "…"
    on_empty: Literal["raise", "empty", "cut"] = "raise"
    tokenizer: Any = Field(default=None, exclude=True)
    language: str | None = None

    _ranker: Any = PrivateAttr(default=None)
    _counted: Any = PrivateAttr(default=None)
    _last_ranking: Any = PrivateAttr(default=None)
    _worker: Worker = PrivateAttr(default_factory=Worker)

    @model_validator(mode="before")
    @classmethod
    def _name_nearest(cls, data: Any) -> Any:
        return cls._check_names(data)

    @model_validator(mode="after")
    def _check_contradictions(self) -> Self:
        self._check_options("reader_template")
        self._check_cache()
        return self

    @field_validator("model", "profile", "cache_dir", "cache_folder", mode="before")
    @classmethod
    def _accept_paths(cls, value: Any) -> Any:
        return os.fspath(value) if isinstance(value, os.PathLike) else value

    @field_validator("document_template", "reader_template")
    @classmethod
    def _check_template(cls, template: str | None, info: ValidationInfo) -> str | None:
        if template is None:
            return None
        found = Template(str(info.field_name), template)
        ours = {convert.SCORE_KEY, convert.METADATA_KEY, convert.START_KEY}
        if info.field_name == "reader_template" and (
            clash := sorted(ours.intersection(found.keys))
        ):
            raise ValueError(
                f"reader_template cannot name {', '.join(clash)}: trimming changes what is there, "
                "so that its tokens cannot be counted before"
            )
        return template

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> list[Document]:
        """Order documents by the attention that the query pays them.

        Args:
            documents: The candidates; none of them is changed, no documents load no model.
            query: The question.
            callbacks: Told of the call as one chain run with the class's name.

        Returns:
            Copies of the best documents, best first or as `order` says; ties keep their order,
            and blank documents come last with score 0.0 or are left out by trimming.

        Raises:
            ValueError: If the query is blank, a document lacks what a template names, `fuse` is
                set and a document has no score under `score_key`, or no span fits `max_tokens`.
            TypeError: If there is something else than documents, whatever `on_error` is.
            AttnMassError: If the model cannot be loaded or its attention not read, or
                `NoEvidenceError` if that was asked for.
        """
        inputs = {"documents": documents, "query": query}
        return self.as_runnable().invoke(inputs, {"callbacks": callbacks})

    async def acompress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> list[Document]:
        """`compress_documents` in a thread of the adapter's own, so that the event loop goes on.

        Args, returns, errors: as in `compress_documents`.
        """
        inputs = {"documents": documents, "query": query}
        return await self.as_runnable().ainvoke(inputs, {"callbacks": callbacks})

    def warm(self, documents: Sequence[Document]) -> WarmResult:
        """Read documents ahead, so that no query has to wait for it; see `AttentionRanker.warm`.

        Args:
            documents: As they will be retrieved; what `document_template` names is read with them.

        Raises:
            ValueError: If there is no cache to keep them in, or a document lacks what
                `document_template` names.
            TypeError: If there is something else than documents.
            AttnMassError: If the model cannot be loaded or read.
        """
        convert.check_documents(documents)
        if not documents:
            return WarmResult(read=0, skipped=0, unreadable=0, evicted=0)
        return self._load().warm(
            convert.to_chunks(documents, self._read_template()),
            batch_size=self.batch_size,
            progress=self.show_progress or None,
        )

    def _read_template(self) -> Template:
        return Template("document_template", self.document_template or PLAIN)

    async def awarm(self, documents: Sequence[Document]) -> WarmResult:
        """`warm` in a thread of the adapter's own, so that the event loop goes on."""
        return await self._worker.run(self.warm, documents)

    def as_runnable(self) -> Runnable[dict[str, Any], list[Document]]:
        """A step for chains: from `{"documents": ..., "query": ...}` to the ranked documents."""
        return RunnableLambda(self._run, self._arun, name=type(self).__name__)

    def _run(self, inputs: Mapping[str, Any], config: RunnableConfig) -> list[Document]:
        if not isinstance(inputs, Mapping) or not {"documents", "query"}.issubset(inputs):
            raise TypeError(f"{type(self).__name__} takes {{'documents': ..., 'query': ...}}")
        convert.check_documents(inputs["documents"])
        documents = list(inputs["documents"])
        query = inputs["query"]
        return self._or_untouched(lambda: self._rerank(documents, query, config), documents)

    async def _arun(self, inputs: Mapping[str, Any], config: RunnableConfig) -> list[Document]:
        return await self._worker.run(self._run, inputs, config)

    def _rerank(
        self, documents: list[Document], query: str, config: RunnableConfig
    ) -> list[Document]:
        if not documents:
            return []
        trim = self._trim()
        if trim is not None and self._has_trimmed(documents, query, trim):
            return [convert.copy_document(document) for document in documents]
        documents = [convert.as_retrieved(document) for document in documents]
        scores = [convert.retrieval_score(document, self.score_key) for document in documents]
        if self.fuse is not None and None in scores:
            raise ValueError(
                f"fuse needs the retriever's score of every document, but document "
                f"{scores.index(None)} has no number in its metadata under {self.score_key!r}: "
                "put it there, name the key that has it with score_key, or set fuse=None"
            )
        template = self._read_template()
        render = self._renderer(documents) if trim is not None else None
        chunks = convert.to_chunks(documents, template)
        ranking = self._rank_chunks(query, chunks, scores, trim, render)
        results = [
            convert.to_document(documents[chunk.index], chunk, ranking, self.model)
            for chunk in ranking.chunks
        ]
        if trim is not None:
            for result, chunk in zip(results, ranking.chunks, strict=True):
                convert.trim_document(result, chunk, trim.separator)
            if any(chunk.text != documents[chunk.index].page_content for chunk in ranking.chunks):
                for result in results:
                    convert.forget_embedding(result)
            request = self._request(query, _texts(results), self._n_tokens(results, trim))
            for result in results:
                result.metadata[hidden.KEY]["request"] = request
            told = _told(ranking, len(documents))
            dispatch_custom_event("attnmass_trim", told, config=config)
        return results

    def _renderer(self, documents: Sequence[Document]) -> Render:
        return convert.renderer(documents, Template("reader_template", self.reader_template))

    def _has_trimmed(self, documents: list[Document], query: str, trim: Trim) -> bool:
        """Whether the documents are what this reranker made of them for this query."""
        ours = [hidden.read(document.metadata) for document in documents]
        return self._is_settled(
            query, ours, _texts(documents), lambda: self._n_tokens(documents, trim)
        )

    def _n_tokens(self, documents: list[Document], trim: Trim) -> int | None:
        """What the reader gets, where its tokenizer was passed."""
        if trim.counter is None:
            return None
        render = self._renderer(documents)
        return trim.counter.total([render(i, d.page_content) for i, d in enumerate(documents)])

    def __getstate__(self) -> dict[Any, Any]:
        """Weights never enter a pickle."""
        state = super().__getstate__()
        fields = {**state["__dict__"], "tokenizer": light_tokenizer(self.tokenizer)}
        unshared = dict.fromkeys(("_ranker", "_counted", "_last_ranking"))
        private = {**(state["__pydantic_private__"] or {}), **unshared}
        return {**state, "__dict__": fields, "__pydantic_private__": private}

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """Copies share the ranker and the tokenizer."""
        shared = (self._ranker, self._counted, self._last_ranking, self.tokenizer)
        return super().__deepcopy__({**(memo or {}), **{id(one): one for one in shared}})


def _texts(documents: Sequence[Document]) -> list[tuple[str | None, str]]:
    return [(document.id, document.page_content) for document in documents]


def _told(ranking: Ranking, n_documents: int) -> dict[str, Any]:
    """What the custom event says; the names are those of LlamaIndex's event."""
    spans = [span for chunk in (*ranking.chunks, *ranking.dropped) for span in chunk.spans]
    n_kept = sum(span.kept for span in spans)
    return {
        "n_documents_before": n_documents,
        "n_documents_after": len(ranking.chunks),
        "n_tokens_before": ranking.n_tokens_before,
        "n_tokens_after": ranking.n_tokens_after,
        "n_spans_kept": n_kept,
        "n_spans_dropped": len(spans) - n_kept,
        "evidence": ranking.evidence,
        "no_evidence": ranking.no_evidence,
    }
