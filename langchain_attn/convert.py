"""LangChain documents to chunks and back: pure functions, the documents are never changed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from langchain_core.documents import Document

from attnmass import Chunk, RankedChunk, Ranking
from attnmass.adapters.copying import copied
from attnmass.adapters.telling import tell, tell_of_trim
from attnmass.options.checks import as_float, check_items
from attnmass.options.keywords import names_nearest
from attnmass.results import hidden
from langchain_attn.template import Template

if TYPE_CHECKING:
    from langchain_attn.rerank import AttentionRerank

METADATA_KEY = hidden.KEY
SCORE_KEY = "relevance_score"

# Where text splitters say that a document begins in the one that it is part of.
START_KEY = "start_index"

# Stands for no value where `None` is one.
_NONE: Any = object()


def check_documents(documents: Sequence[Document]) -> None:
    """Raise `TypeError` for what is not a sequence of documents."""
    check_items("documents", documents, Document, instead="[Document(page_content=text)]")


def to_chunks(documents: Sequence[Document], template: Template) -> list[Chunk]:
    """What the model reads of each document; nothing of a blank one, whatever the template.

    Raises:
        ValueError: If a document lacks a metadata key that the template names.
    """
    chunks = []
    for index, document in enumerate(documents):
        text = document.page_content
        before, after = template.around(index, document)
        if not text.strip():
            text = before = after = ""
        chunks.append(Chunk(text, before=before, after=after, metadata=document.metadata))
    return chunks


def retrieval_score(document: Document, key: str) -> float | None:
    """The retriever's score in the metadata, `None` where there is no finite number."""
    score = as_float(document.metadata.get(key))
    return None if score is None or not math.isfinite(score) else score


def copy_document(document: Document) -> Document:
    """A copy of a document of any class; of what cannot be copied, the very same."""
    result = document.model_copy()
    # Not by assignment: a class may be frozen, or check what is assigned.
    vars(result).update({name: copied(value) for name, value in vars(document).items()})
    return result


def set_text(document: Document, text: str) -> None:
    """Replace the text of a copy; an embedding of it in its state goes with it."""
    vars(document)["page_content"] = text
    forget_embedding(document)


def forget_embedding(document: Document) -> None:
    """Take the embedding out of a copy's state, where LangChain's own filters look for one.

    They look at the first document of several to tell whether all have one.
    """
    state = getattr(document, "state", None)
    if isinstance(state, dict):
        state.pop("embedded_doc", None)


def to_document(
    document: Document,
    chunk: RankedChunk,
    ranking: Ranking,
    *,
    rerank: AttentionRerank,
    separator: str | None,
) -> Document:
    """A copy of a ranked document, cut to what is kept of it.

    Args:
        document: The document.
        chunk: What it became in `ranking`.
        ranking: The call's.
        rerank: Says what is written into the metadata.
        separator: What stands where text was dropped; `None` if trimming was not asked for.
    """
    result = copy_document(document)
    told = tell(rerank, ranking, chunk, chunk.index)
    if rerank.add_scores:
        before = _plain(document.metadata.get(SCORE_KEY, _NONE))
        if before is not _NONE:
            told["score_before"] = before
        result.metadata[SCORE_KEY] = chunk.score
    if separator is not None:
        told |= _trim(result, chunk, separator, rerank)
    if told:
        hidden.write(result.metadata, told)
    return result


def _trim(
    result: Document, chunk: RankedChunk, separator: str, rerank: AttentionRerank
) -> dict[str, Any]:
    """Cut a document to what is kept of it, and tell what that is."""
    original, metadata = result.page_content, result.metadata
    offset = parent_offset(result)
    found = tell_of_trim(rerank, chunk, original, offset, separator)
    if chunk.text == original:
        return found
    if offset is not None:  # what names no place stays as it is
        named = hidden.one_slice(chunk.kept_spans, original, chunk.text)
        del metadata[START_KEY]
        if named is not None:
            metadata[START_KEY] = offset + named[0]
        if rerank.keep_original:
            found[f"original_{START_KEY}"] = offset
    set_text(result, chunk.text)
    return found


@names_nearest
def details(document: Document) -> dict[str, Any]:
    """What a reranker of this package wrote into a document's metadata, as plain data.

    Args:
        document: A document.

    Returns:
        Empty if nothing: only trimming, `add_scores` or `keep_retrieval_score` writes anything.
        `AttentionRerank` explains the names.

    Raises:
        TypeError: If it is not a document.
    """
    check_document(document)
    return dict(hidden.read(document.metadata))


def check_reader(template: Template) -> None:
    """Raise `ValueError` for a template of what is not known before documents are trimmed."""
    if clash := sorted({SCORE_KEY, METADATA_KEY, START_KEY}.intersection(template.keys)):
        raise ValueError(
            f"reader_template cannot name {', '.join(clash)}: trimming changes what is there, "
            "so that its tokens cannot be counted before"
        )


def check_document(document: Document) -> None:
    """Raise `TypeError` for what is not a document."""
    if not isinstance(document, Document):
        raise TypeError(
            f"{type(document).__name__} is not a Document: pass one, or call this for each of "
            "several"
        )


@names_nearest
def restore(document: Document) -> Document:
    """What was passed to the reranker that returned this document, as far as it changed that.

    Args:
        document: From `AttentionRerank` or `AttentionRetriever`. If it was trimmed, with
            `keep_original`.

    Returns:
        A copy with the original text, `start_index` and `relevance_score`, and without what is
        under `attnmass`, which has to fit the text: what was changed since, or never belonged to
        that text, is left as it is. A `relevance_score` that another reranker wrote since is kept.
        What no reranker of this package returned is copied.

    Raises:
        TypeError: If it is not a document.
        ValueError: If it was trimmed and its original text was not kept.
    """
    check_document(document)
    result = copy_document(document)
    ours, metadata = hidden.read(result.metadata), result.metadata
    if not ours:
        return result
    text = result.page_content
    hidden.check_restorable(ours, text)
    original = hidden.source_text(ours, text)
    del metadata[METADATA_KEY]
    if "score" in ours and metadata.get(SCORE_KEY) == ours["score"]:
        del metadata[SCORE_KEY]
        if "score_before" in ours:
            metadata[SCORE_KEY] = ours["score_before"]
    if original is not None and original != text:
        set_text(result, original)
        if f"original_{START_KEY}" in ours:
            metadata[START_KEY] = ours[f"original_{START_KEY}"]
    return result


def as_retrieved(document: Document) -> Document:
    """The document, or what it was before this process trimmed it, if nobody changed it since.

    Whoever masks names in a trimmed document, for example, does not get them back.
    """
    trimmed = hidden.own_source_text(hidden.read(document.metadata), document.page_content)
    return document if trimmed is None else restore(document)


def parent_offset(document: Document) -> int | None:
    """Where the document begins in the one that it is part of; splitters write -1 for unknown."""
    start = document.metadata.get(START_KEY)
    known = isinstance(start, int) and not isinstance(start, bool) and start >= 0
    return start if known else None


def visible_metadata(document: Document) -> dict[str, Any]:
    """The metadata without what we added."""
    found = hidden.read(document.metadata)
    ours = [*([METADATA_KEY] if found else []), *([SCORE_KEY] if "score" in found else [])]
    return {key: value for key, value in document.metadata.items() if key not in ours}


def renderer(documents: Sequence[Document], template: Template) -> Callable[[int, str], str]:
    """What the reader gets of each document with another text, by its index.

    Raises:
        ValueError: As in `to_chunks`.
    """
    if template.is_plain:
        return lambda index, text: text
    for index, document in enumerate(documents):
        template.check(index, document)
    return lambda index, text: template.format(documents[index], text)


def _plain(value: Any) -> Any:
    """A value as JSON has it, a number of whatever library; `_NONE` if it has none."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    number = as_float(value)
    return _NONE if number is None else number
