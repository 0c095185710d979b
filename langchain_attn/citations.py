"""Numbered citations of documents."""

from __future__ import annotations

from collections.abc import Sequence

from langchain_core.documents import Document

from attnmass.options.keywords import names_nearest
from attnmass.results import citations, hidden
from attnmass.results.citations import Cited, Passage
from langchain_attn.convert import check_documents, parent_offset, visible_metadata


@names_nearest
def cite(documents: Sequence[Document], *, marker: str | None = None) -> Cited:
    r"""Number what was kept of documents, for a prompt that asks the model to cite.

    Args:
        documents: From `AttentionRerank`, `AttentionRetriever`, or any retriever: a document that
            was not trimmed is cited as a whole, a blank one is left out.
        marker: As in `attnmass.results.citations.cite`.

    Returns:
        The texts with markers, without metadata, and what each marker stands for. A source's
        `chunk_id` is the document's id; it has a `metadata["source"]` where loaders put one.

    Raises:
        ValueError: If `marker` is malformed or looks like something in the texts.
        TypeError: If there is anything other than documents.

    Example:
        >>> cited = cite(rerank.compress_documents(documents, question))
        >>> answer = llm.invoke(f"{cited.text}\n\nAnswer with citations: {question}")
        >>> [source.text for source in cited.resolve(answer.content)]
    """
    check_documents(documents)
    return citations.cite([_passage(document) for document in documents], marker=marker)


def _passage(document: Document) -> Passage:
    return citations.to_passage(
        hidden.read(document.metadata),
        document.page_content,
        offset=parent_offset(document),
        chunk_id=document.id,
        metadata=visible_metadata(document),
    )
