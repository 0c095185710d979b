"""One call of the compressor: from documents to chunks, to a ranking, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from langchain_core.callbacks import dispatch_custom_event
from langchain_core.documents import Document
from langchain_core.runnables import RunnableConfig

from langchain_attn import convert
from langchain_attn.convert import METADATA_KEY
from langchain_attn.template import Template

if TYPE_CHECKING:
    from attnmass import Ranking, Trim
    from attnmass.adapters.settled import Settled
    from attnmass.trimming import Render
    from langchain_attn.rerank import AttentionRerank


def rank_documents(
    rerank: AttentionRerank, documents: list[Document], query: str, config: RunnableConfig
) -> list[Document]:
    """Rank documents, and trim them where that is asked for; errors as `AttentionRerank` has them.

    Args:
        rerank: How.
        documents: The candidates.
        query: The question.
        config: Its callbacks are told of trimming.
    """
    if not documents:
        return []
    trim = rerank._trim()
    dry_run = trim is not None and trim.dry_run
    if trim is not None and not dry_run and _has_trimmed(rerank, documents, query, trim):
        return [convert.copy_document(document) for document in documents]
    documents = [convert.as_retrieved(document) for document in documents]
    scores = [convert.retrieval_score(document, rerank.score_key) for document in documents]
    if isinstance(rerank.fuse, float) and None in scores:
        raise ValueError(
            f"fuse needs the retriever's score of every document, but document "
            f"{scores.index(None)} has no number in its metadata under {rerank.score_key!r}: "
            "put it there, name the key that has it with score_key, or set fuse=None"
        )
    template = rerank._read_template()
    render = _renderer(rerank, documents) if trim is not None else None
    chunks = convert.to_chunks(documents, template)
    ranking = rerank._rank_chunks(
        query,
        chunks,
        scores,
        trim,
        render,
        lambda index: (documents[index].id, convert.parent_offset(documents[index])),
    )
    separator = None if trim is None or dry_run else trim.separator
    results = [
        convert.to_document(
            documents[chunk.index], chunk, ranking, rerank=rerank, separator=separator
        )
        for chunk in ranking.chunks
    ]
    if trim is not None and not dry_run:
        if any(chunk.text != documents[chunk.index].page_content for chunk in ranking.chunks):
            for result in results:
                convert.forget_embedding(result)
        rerank._settle(query, _settled(results), _n_tokens(rerank, results, trim))
    if trim is not None:
        told = _told(ranking, len(documents))
        dispatch_custom_event("attnmass_trim", told, config=config)
    return results


def _renderer(rerank: AttentionRerank, documents: Sequence[Document]) -> Render:
    return convert.renderer(documents, Template("reader_template", rerank.reader_template))


def _has_trimmed(
    rerank: AttentionRerank, documents: list[Document], query: str, trim: Trim
) -> bool:
    """Whether the documents are what this reranker made of them for this query."""
    return rerank._is_settled(
        query, _settled(documents), lambda: _n_tokens(rerank, documents, trim)
    )


def _n_tokens(rerank: AttentionRerank, documents: list[Document], trim: Trim) -> int | None:
    """What the reader gets, where its tokenizer was passed."""
    if trim.counter is None:
        return None
    render = _renderer(rerank, documents)
    return trim.counter.total([render(i, d.page_content) for i, d in enumerate(documents)])


def _settled(documents: Sequence[Document]) -> list[Settled]:
    """What tells documents apart."""
    return [(each.id, each.page_content, each.metadata.get(METADATA_KEY)) for each in documents]


def _told(ranking: Ranking, n_documents: int) -> dict[str, Any]:
    """What the custom event says; the names are those of LlamaIndex's event."""
    left = ranking if ranking.saving is None else ranking.saving
    spans = [span for chunk in (*left.chunks, *left.dropped) for span in chunk.spans]
    n_kept = sum(span.kept for span in spans)
    return {
        "n_documents_before": n_documents,
        "n_documents_after": len(left.chunks),
        "n_tokens_before": left.n_tokens_before,
        "n_tokens_after": left.n_tokens_after,
        "n_spans_kept": n_kept,
        "n_spans_dropped": len(spans) - n_kept,
        "dry_run": ranking.saving is not None,
        "evidence": ranking.evidence,
        "no_evidence": ranking.no_evidence,
    }
