"""What a response rests on in its source nodes."""

from __future__ import annotations

from typing import Any

from llama_index.core.schema import BaseNode, QueryBundle

from attnmass import Chunk
from attnmass.options.attributing import TOP_SPANS
from attnmass.options.checks import check_type
from attnmass.options.keywords import names_nearest
from attnmass.results.attribution import Attribution
from llama_index_attn.convert import check_found, is_text, parent_offset, to_chunk
from llama_index_attn.rerank import AttentionRerank


@names_nearest
def attribute(
    response: Any,
    query: str | QueryBundle,
    *,
    rerank: AttentionRerank | None = None,
    top_spans: int = TOP_SPANS,
    threshold: float | None = None,
) -> Attribution:
    """See which spans of the source nodes each sentence of a response looked at.

    Args:
        response: From a query or chat engine: what has a `response` and `source_nodes`. A stream
            is read to its end. Nothing in it is changed.
        query: What was asked.
        rerank: Whose model reads, and with which metadata; default: `AttentionRerank()`.
        top_spans: As in `attnmass.AttentionRanker.attribute`.
        threshold: Likewise.

    Returns:
        `Support.chunk` is the position in `source_nodes`, and `start` and `end` are into their
        texts as they are there; `chunk_id` is the node's id, and `doc_start` and `doc_end` are into
        its parent's text, where the node's offsets name that.

    Raises:
        TypeError: If `response` has no text or no source nodes, or something else is wrong.
        ValueError: As `AttentionRanker.attribute`.
        AttnMassError: If the model cannot be loaded or read.

    Example:
        >>> response = engine.query(question)
        >>> found = attribute(response, question)
        >>> [sentence.spans[0].text for sentence in found.sentences]
    """
    if hasattr(response, "get_response"):
        response = response.get_response()
    answer, sources = (getattr(response, name, None) for name in ("response", "source_nodes"))
    if not isinstance(answer, str) or not isinstance(sources, list):
        raise TypeError(
            f"{type(response).__name__} has no text in .response or no list of .source_nodes: pass "
            "what a query engine returns"
        )
    check_found(sources)
    check_type("rerank", rerank, AttentionRerank, optional="one with all defaults")
    rerank = AttentionRerank() if rerank is None else rerank
    nodes: list[BaseNode] = [found.node for found in sources]
    found = rerank._load().attribute(
        query.query_str if isinstance(query, QueryBundle) else query,
        [to_chunk(node, rerank.metadata_mode) if is_text(node) else Chunk("") for node in nodes],
        answer,
        top_spans=top_spans,
        threshold=threshold,
        language=rerank.language,
    )
    return found.with_places(lambda i: (nodes[i].node_id, parent_offset(nodes[i])))
