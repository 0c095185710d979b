"""The document compressor: LangChain documents ordered by the attention that a query pays them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from langchain_core.documents import BaseDocumentCompressor, Document
from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda
from pydantic import ValidationInfo, field_validator

from attnmass import WarmResult
from attnmass.adapters.base import UsesRanker
from attnmass.options.declared import option
from attnmass.options.fields import TRIM_DETAILS
from langchain_attn import convert
from langchain_attn.ranking import rank_documents
from langchain_attn.template import PLAIN, Template

if TYPE_CHECKING:
    from langchain_core.callbacks import Callbacks


class AttentionRerank(UsesRanker, BaseDocumentCompressor):
    r"""Ranks documents by the attention that a query pays them, keeps the best, and trims them.

    The model loads on first use and is shared by every adapter that names it with the same
    options. Results are copies, equal to what came in, so that retrievers that combine the results
    of several calls recognise duplicates. What a call found is in `last_ranking`, or with
    `add_scores` in the metadata: the score as `relevance_score`, and under `attnmass`, read by
    `details`, what it came from: `score`, `retrieval_score`, `rank_before` (position in the input,
    0-based), `n_tokens`, `model`, `evidence` and `no_evidence` of all documents together, and
    `relevance`, `n_windows`, `skipped`, `mass` and `logit` (of a cross-encoder), `score_before` (an
    earlier `relevance_score`) where they apply. One instance may be called from many threads.

    Documents are trimmed to their best spans (sentences, list items, tables, ...) if `max_tokens`,
    `keep_ratio` or `top_p` is set; `attnmass.Trim` says how the options combine. Documents of which
    nothing is kept are left out, blank ones too. A `start_index`, as text splitters write it, is
    taken as the document's place in the one that it is part of; where the text got shorter, it
    names what is left if that is one slice of that document, else it is removed. Under `attnmass`
    there are then `spans`, the kept ones, each with `id`, `start` and `end` into the text before
    trimming, `place` in the text now, `doc_start` and `doc_end` where a `start_index` was there,
    and `kind`; with `add_scores` also `score` and `reason`; and `n_dropped_spans` and `digest`,
    of the text now. With `keep_original` there is what `restore` needs where the text got shorter:
    `original_text`, `separator`, `seal` and `original_start_index`.

    A trimmed result that comes in again with the same query and options stays as it is; otherwise
    documents that this process trimmed with `keep_original` are ranked, and trimmed if that is
    asked for, by their original text; what others wrote under `attnmass` is never read instead of
    a text. Callbacks get each trimming as a custom event `attnmass_trim`. With `dry_run`, all
    documents come back ranked and whole, and the event says what trimming would have left; with
    `keep_ranking`, `last_ranking.saving` says which spans.

    Raises:
        ValidationError: On unknown fields and bad values; a `ValueError`.
    """

    _TRIM_DETAILS: ClassVar[tuple[str, ...]] = (*TRIM_DETAILS, "reader_template")

    document_template: str | None = option(
        None,
        r"What the model reads of a document, with its metadata: '{title}\n{page_content}'",
        unset="its text",
    )
    reader_template: str = option(
        PLAIN, "What the reader gets of a document, like document_prompt; max_tokens counts it"
    )
    score_key: str = option(
        convert.SCORE_KEY, "The metadata key where the retriever's score is found"
    )

    @field_validator("document_template", "reader_template")
    @classmethod
    def _check_template(cls, template: str | None, info: ValidationInfo) -> str | None:
        if template is not None:
            found = Template(str(info.field_name), template)
            if info.field_name == "reader_template":
                convert.check_reader(found)
        return template

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> list[Document]:
        """Order documents by the attention that the query pays them.

        Args:
            documents: The candidates; none of them is changed. Without any, no model is loaded.
            query: The question.
            callbacks: Told of the call as one chain run with the class's name.

        Returns:
            Copies of the best documents, best first or as `order` says; ties keep their order,
            and blank documents come last with score 0.0 or are left out by trimming.

        Raises:
            ValueError: If the query is blank, a document lacks what a template names, `fuse` is
                set and a document has no score under `score_key`, or no span fits `max_tokens`.
            TypeError: If there is anything other than documents, whatever `on_error` is.
            AttnMassError: If the model cannot be loaded or its attention cannot be read, or
                `NoEvidenceError` if that was asked for.
        """
        inputs = {"documents": documents, "query": query}
        return self.as_runnable().invoke(inputs, {"callbacks": callbacks})

    async def acompress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> list[Document]:
        """`compress_documents` in the adapter's own thread, so that the event loop keeps running.

        Args, returns, errors: as in `compress_documents`.
        """
        inputs = {"documents": documents, "query": query}
        return await self.as_runnable().ainvoke(inputs, {"callbacks": callbacks})

    def warm(self, documents: Sequence[Document]) -> WarmResult:
        """Read documents ahead, so that no query has to wait for that; see `AttentionRanker.warm`.

        Args:
            documents: As they will be retrieved; what `document_template` names is read with them.

        Raises:
            ValueError: If there is no cache to keep them in, or a document lacks what
                `document_template` names.
            TypeError: If there is anything other than documents.
            AttnMassError: If the model cannot be loaded or read.
        """
        convert.check_documents(documents)
        return self._warm_chunks(convert.to_chunks(documents, self._read_template()))

    def _read_template(self) -> Template:
        return Template("document_template", self.document_template or PLAIN)

    async def awarm(self, documents: Sequence[Document]) -> WarmResult:
        """`warm` in the adapter's own thread, so that the event loop keeps running."""
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
        return self._or_untouched(lambda: rank_documents(self, documents, query, config), documents)

    async def _arun(self, inputs: Mapping[str, Any], config: RunnableConfig) -> list[Document]:
        return await self._worker.run(self._run, inputs, config)
