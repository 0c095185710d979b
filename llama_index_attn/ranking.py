"""One call of the postprocessor: from nodes to chunks, to a ranking, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llama_index.core.instrumentation import get_dispatcher  # type: ignore[attr-defined]
from llama_index.core.schema import MetadataMode, NodeWithScore
from llama_index.core.utils import get_tokenizer

from llama_index_attn.budget import less, n_tokens, reserve
from llama_index_attn.convert import (
    HIDDEN_KEY,
    Rendered,
    as_retrieved,
    copy_node,
    is_text,
    to_chunk,
    to_node,
)
from llama_index_attn.events import AttentionTrimEvent

if TYPE_CHECKING:
    from attnmass import Ranking, Trim
    from attnmass.adapters.base import Settled
    from llama_index_attn.rerank import AttentionRerank

dispatcher = get_dispatcher(__name__)


def rank_nodes(
    rerank: AttentionRerank, nodes: list[NodeWithScore], query: str
) -> list[NodeWithScore]:
    """Rank nodes, and trim them where that is asked for; errors as `AttentionRerank` has them."""
    if not nodes:
        return []
    trim = rerank._trim(get_tokenizer)
    if trim is not None and _has_trimmed(rerank, nodes, query, trim):
        return [copy_node(found) for found in nodes]
    nodes = [as_retrieved(found) for found in nodes]
    places = [place for place, found in enumerate(nodes) if is_text(found.node)]
    if not places:
        return [copy_node(found) for found in nodes]
    if trim is None:
        return _rank_texts(rerank, nodes, places, query)[1]
    return _trim_texts(rerank, nodes, places, query, trim)


def _rank_texts(
    rerank: AttentionRerank,
    nodes: list[NodeWithScore],
    places: list[int],
    query: str,
    trim: Trim | None = None,
) -> tuple[Ranking, list[NodeWithScore]]:
    """Rank the nodes at `places`; all others stay where they are."""
    texts = [nodes[place] for place in places]
    ranking = rerank._rank_chunks(
        query,
        [to_chunk(found.node, rerank.metadata_mode) for found in texts],
        [found.score for found in texts],
        trim,
        None if trim is None else Rendered([found.node for found in texts]),
    )
    result = []
    for chunk in ranking.chunks:
        place = places[chunk.index]
        separator = None if trim is None else trim.separator
        node = to_node(
            nodes[place], chunk, ranking, place=place, rerank=rerank, separator=separator
        )
        result.append(node)
    for place in sorted(set(range(len(nodes))) - set(places)):
        result.insert(place, copy_node(nodes[place]))
    return ranking, result


def _trim_texts(
    rerank: AttentionRerank, nodes: list[NodeWithScore], places: list[int], query: str, trim: Trim
) -> list[NodeWithScore]:
    """`_rank_texts` within the budget that nodes without text leave."""
    taken = reserve(trim, [found for place, found in enumerate(nodes) if place not in places])
    while True:  # once, unless the tokenizer makes more of texts together than of each
        ranking, result = _rank_texts(rerank, nodes, places, query, less(trim, taken))
        after = n_tokens(trim, result)
        if trim.max_tokens is None or after <= trim.max_tokens:
            break
        taken += after - trim.max_tokens
    rerank._settle(query, _settled(result), after)
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


def _has_trimmed(
    rerank: AttentionRerank, nodes: list[NodeWithScore], query: str, trim: Trim
) -> bool:
    """Whether the nodes are what this reranker made of them for this query."""
    return rerank._is_settled(query, _settled(nodes), lambda: n_tokens(trim, nodes))


def _settled(nodes: list[NodeWithScore]) -> list[Settled]:
    """What tells nodes apart, of those that have text."""
    texts = [found.node for found in nodes if is_text(found.node)]
    return [
        (node.node_id, node.get_content(MetadataMode.NONE), node.metadata.get(HIDDEN_KEY))
        for node in texts
    ]
