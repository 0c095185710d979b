"""What a chain's answer rests on in its documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.documents import Document
from langchain_core.messages import BaseMessage

from attnmass.options.attributing import TOP_SPANS
from attnmass.options.checks import check_type
from attnmass.options.keywords import names_nearest
from attnmass.results.attribution import Attribution
from langchain_attn import convert
from langchain_attn.rerank import AttentionRerank

# What chains call these: create_retrieval_chain's names first, then RetrievalQA's.
_QUERIES = ("input", "query", "question")
_DOCUMENTS = ("context", "source_documents", "documents")
_ANSWERS = ("answer", "result", "output")


@names_nearest
def attribute(
    result: Mapping[str, Any],
    *,
    query: str | None = None,
    rerank: AttentionRerank | None = None,
    top_spans: int = TOP_SPANS,
    threshold: float | None = None,
) -> Attribution:
    """See which spans of its documents each sentence of a chain's answer looked at.

    Args:
        result: What a chain returned: the question as `input`, `query` or `question`, the documents
            as `context`, `source_documents` or `documents`, and the answer, a text or a message, as
            `answer`, `result` or `output`. Nothing in it is changed.
        query: What was asked, where that is not in `result`.
        rerank: Whose model reads, and with which `document_template`; default: `AttentionRerank()`.
        top_spans: As in `attnmass.AttentionRanker.attribute`.
        threshold: Likewise.

    Returns:
        `Support.chunk` is the position in the documents, and `start` and `end` are into their texts
        as they are there; `chunk_id` is the document's id, and `doc_start` and `doc_end` are set
        where a `start_index` says where it begins.

    Raises:
        ValueError: If question, documents or answer are missing, or as
            `AttentionRanker.attribute`.
        TypeError: If one of them is of another type.
        AttnMassError: If the model cannot be loaded or read.

    Example:
        >>> result = chain.invoke({"input": question})
        >>> found = attribute(result)
        >>> [sentence.spans[0].text for sentence in found.sentences]
    """
    if not isinstance(result, Mapping):
        raise TypeError(f"the result must be what a chain returned, not {result!r}")
    check_type("rerank", rerank, AttentionRerank, optional="one with all defaults")
    rerank = AttentionRerank() if rerank is None else rerank
    asked = _get(result, _QUERIES) if query is None else query
    documents: Sequence[Document] = _get(result, _DOCUMENTS)
    if isinstance(documents, str) or (
        isinstance(documents, Sequence) and any(isinstance(each, str) for each in documents)
    ):
        raise ValueError(
            "the result has no documents but text: pass what the retriever returned, as "
            "{..., 'context': documents}"
        )
    convert.check_documents(documents)
    answer = _get(result, _ANSWERS)
    found = rerank._load().attribute(
        asked,
        convert.to_chunks(documents, rerank._read_template()),
        str(answer.text) if isinstance(answer, BaseMessage) else answer,
        top_spans=top_spans,
        threshold=threshold,
        language=rerank.language,
    )
    return found.with_places(lambda i: (documents[i].id, convert.parent_offset(documents[i])))


def _get(result: Mapping[str, Any], names: Sequence[str]) -> Any:
    """The first of some names that is there."""
    for name in names:
        if name in result:
            return result[name]
    raise ValueError(f"the result has none of {', '.join(map(repr, names))}: {sorted(result)}")
