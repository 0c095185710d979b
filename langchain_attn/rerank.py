"""The document compressor: LangChain documents ordered by the attention that a query pays them."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from langchain_core.documents import BaseDocumentCompressor, Document
from langchain_core.runnables import Runnable, RunnableLambda
from pydantic import ConfigDict, Field, PrivateAttr, field_validator, model_validator

from attnmass import WarmResult
from attnmass.adapter import DEVICE, UsesRanker
from attnmass.cache_options import CACHE_BYTES, CACHE_FOLDER_BYTES
from attnmass.worker import Worker
from langchain_attn import convert

if TYPE_CHECKING:
    from langchain_core.callbacks import Callbacks
    from typing_extensions import Self


_logger = logging.getLogger(__name__)


class AttentionRerank(UsesRanker, BaseDocumentCompressor):
    r"""Ranks documents by the attention that a query pays them inside a local transformer.

    The model loads on first use and is shared by every adapter that names it with the same
    options. Results are copies; their metadata has the attention mass as `relevance_score`, and
    under `attnmass` what it came from: `score`, `retrieval_score`, `rank_before` (position in the
    input, 0-based), `n_tokens`, `model`, and `fused_score`, `n_windows`, `skipped` where they
    apply. One instance may be called from many threads.

    Attributes:
        model: As in `AttentionRanker.from_pretrained`: a folder, a GGUF file, a short name, or a
            repository of the Hugging Face Hub.
        top_n: Keep the best so many; `None` for all.
        score_threshold: Keep only documents of at least this attention mass.
        device: Where the model runs; default: the best there is.
        dtype: Number format; `"auto"` is the fastest that the device does well.
        batch_size: Documents in one forward pass; default: as many as are fast.
        document_template: What the model reads of a document, such as
            `"{title}\n{page_content}"`, over its metadata; default: its text.
        fuse: Share of the retriever's score in the order, in [0, 1]; default: none of it.
        score_key: The metadata key where the retriever's score is found.
        on_error: `"raise"`, or `"passthrough"`: the documents come back untouched, all of them
            and in order, with a warning.
        profile: The file of a head profile; default: the one that ships for the model.
        heads: `(layer, head)` pairs to read instead of a profile's.
        revision: Branch, tag or commit on the Hub.
        cache_dir: The Hub's cache.
        local_files_only: Never ask the Hub.
        cache_bytes: Bytes of memory in which documents that were read are kept; 0 for none.
        cache_folder: Folder where they are kept beyond the process.
        cache_folder_bytes: Bound on that folder in bytes.
        cache_format: A smaller format to keep them in; default: the model's.
        show_progress: Whether to show a progress bar while documents are read.

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
    fuse: float | None = Field(default=None, ge=0, le=1, allow_inf_nan=False)
    score_key: str = convert.SCORE_KEY
    on_error: Literal["raise", "passthrough"] = "raise"
    profile: str | None = None
    heads: tuple[tuple[int, int], ...] | None = None
    revision: str | None = None
    cache_dir: str | None = None
    local_files_only: bool = False
    cache_bytes: int | None = Field(default=CACHE_BYTES, ge=0)
    cache_folder: str | None = None
    cache_folder_bytes: int | None = Field(default=CACHE_FOLDER_BYTES, ge=1)
    cache_format: Literal["float16", "bfloat16", "int8"] | None = None
    show_progress: bool = False

    _ranker: Any = PrivateAttr(default=None)
    _worker: Worker = PrivateAttr(default_factory=Worker)

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

    @field_validator("document_template")
    @classmethod
    def _check_template(cls, template: str | None) -> str | None:
        if template is not None:
            convert.parse_template(template)
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
            Copies of the best documents, best first; ties keep their order, and blank documents
            come last with score 0.0.

        Raises:
            ValueError: If the query is blank, a document lacks what `document_template` names, or
                `fuse` is set and a document has no score under `score_key`.
            AttnMassError: If the model cannot be loaded or its attention not read.
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
            AttnMassError: If the model cannot be loaded or read.
        """
        if not documents:
            return WarmResult(read=0, skipped=0, unreadable=0, evicted=0)
        return self._load().warm(
            convert.to_chunks(documents, self.document_template),
            batch_size=self.batch_size,
            progress=self.show_progress or None,
        )

    async def awarm(self, documents: Sequence[Document]) -> WarmResult:
        """`warm` in a thread of the adapter's own, so that the event loop goes on."""
        return await self._worker.run(self.warm, documents)

    def as_runnable(self) -> Runnable[dict[str, Any], list[Document]]:
        """A step for chains: from `{"documents": ..., "query": ...}` to the ranked documents."""
        return RunnableLambda(self._run, self._arun, name=type(self).__name__)

    def _run(self, inputs: Mapping[str, Any]) -> list[Document]:
        documents = list(inputs["documents"])
        return self._or_untouched(lambda: self._rerank(documents, inputs["query"]), documents)

    async def _arun(self, inputs: Mapping[str, Any]) -> list[Document]:
        return await self._worker.run(self._run, inputs)

    def _rerank(self, documents: list[Document], query: str) -> list[Document]:
        if not documents:
            return []
        scores = [convert.retrieval_score(document, self.score_key) for document in documents]
        if self.fuse is not None and None in scores:
            raise ValueError(
                f"fuse needs the retriever's score of every document, but document "
                f"{scores.index(None)} has no number in its metadata under {self.score_key!r}: "
                "put it there, name the key that has it with score_key, or set fuse=None"
            )
        chunks = convert.to_chunks(documents, self.document_template)
        ranking = self._load().rank(
            query,
            chunks,
            top_n=self.top_n,
            score_threshold=self.score_threshold,
            retrieval_scores=scores,
            fuse=self.fuse,
            batch_size=self.batch_size,
            progress=self.show_progress or None,
        )
        return convert.to_documents(documents, ranking, self.model)

    def __getstate__(self) -> dict[Any, Any]:
        """Weights never enter a pickle."""
        state = super().__getstate__()
        private = state["__pydantic_private__"] or {}
        return {**state, "__pydantic_private__": {**private, "_ranker": None}}

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """Copies share the ranker."""
        return super().__deepcopy__({**(memo or {}), id(self._ranker): self._ranker})
