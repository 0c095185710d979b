"""LangChain documents to chunks and back: pure functions, the documents are never changed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any

from langchain_core.documents import Document
from langchain_core.prompts import PromptTemplate

from attnmass import Chunk, RankedChunk, Ranking

METADATA_KEY = "attnmass"
SCORE_KEY = "relevance_score"


def parse_template(template: str) -> PromptTemplate:
    """Read a document template.

    Raises:
        ValueError: If it is malformed or lacks `{page_content}`.
    """
    prompt = PromptTemplate.from_template(template)
    if "page_content" not in prompt.input_variables:
        raise ValueError(f"document_template must contain {{page_content}}, not just {template!r}")
    return prompt


def to_chunks(documents: Sequence[Document], template: str | None) -> list[Chunk]:
    """What the model reads of each document; of a blank one nothing, whatever the template.

    Raises:
        ValueError: If a document lacks a metadata key that the template names.
    """
    if template is None:
        return [Chunk(document.page_content) for document in documents]
    prompt = parse_template(template)
    keys = [name for name in prompt.input_variables if name != "page_content"]
    chunks = []
    for index, document in enumerate(documents):
        try:
            values = {key: document.metadata[key] for key in keys}
        except KeyError as error:
            raise ValueError(
                f"document {index} has no metadata {error}, which document_template {template!r} "
                "names: add it to the document, or take it out of the template"
            ) from error
        text = document.page_content
        chunks.append(Chunk(prompt.format(**values, page_content=text) if text.strip() else ""))
    return chunks


def retrieval_score(document: Document, key: str) -> float | None:
    """The retriever's score in the metadata, `None` where there is no finite number."""
    value = document.metadata.get(key)
    if not isinstance(value, Real) or isinstance(value, bool):
        return None
    score = float(value)
    return score if math.isfinite(score) else None


def to_documents(documents: Sequence[Document], ranking: Ranking, model: str) -> list[Document]:
    """Copies of the ranked documents, best first, with what was found in their metadata."""
    ranked = []
    for chunk in ranking.chunks:
        copy = documents[chunk.index].model_copy(deep=True)
        copy.metadata |= {SCORE_KEY: float(chunk.score), METADATA_KEY: _details(chunk, model)}
        ranked.append(copy)
    return ranked


def _details(chunk: RankedChunk, model: str) -> dict[str, Any]:
    details: dict[str, Any] = {
        "score": float(chunk.score),
        "retrieval_score": chunk.retrieval_score,
        "rank_before": chunk.index,
        "n_tokens": chunk.n_tokens,
        "model": model,
    }
    if chunk.fused_score is not None:
        details["fused_score"] = float(chunk.fused_score)
    if chunk.skipped is not None:
        details["skipped"] = chunk.skipped
    if chunk.n_windows > 1:
        details["n_windows"] = chunk.n_windows
    return details
