"""One call of the postprocessor: from nodes to chunks, to a ranking, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

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
    parent_offset,
    to_chunk,
    to_node,
)
from llama_index_attn.events import AttentionTrimEvent

if TYPE_CHECKING:
    from attnmass import Ranking, Trim
    from attnmass.adapters.settled import Settled
    from attnmass.results.saving import Saving
    from llama_index_attn.rerank import AttentionRerank

dispatcher = get_dispatcher(__name__)


def rank_nodes(
    rerank: AttentionRerank, nodes: list[NodeWithScore], query: str
) -> list[NodeWithScore]:
    """Rank nodes, and trim them where that is asked for; errors as `AttentionRerank` has them."""
    if not nodes:
        return []
    trim = rerank._trim(get_tokenizer)
    if trim is not None and not trim.dry_run and _has_trimmed(rerank, nodes, query, trim):
        return [copy_node(found) for found in nodes]
    nodes = [as_retrieved(found) for found in nodes]
    places = [place for place, found in enumerate(nodes) if is_text(found.node)]
    if not places:
        return [copy_node(found) for found in nodes]
    if trim is None:
        return _rank_texts(rerank, nodes, places, query)[1]
    if trim.dry_run:
        return _dry_run(rerank, nodes, places, query, trim)
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
        lambda index: (texts[index].node.node_id, parent_offset(texts[index].node)),
    )
    result = []
    for chunk in ranking.chunks:
        place = places[chunk.index]
        separator = None if trim is None or trim.dry_run else trim.separator
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
    before = n_tokens(trim, nodes)
    dispatcher.event(_event(ranking, len(nodes), len(result), before, after))
    return result


def _dry_run(
    rerank: AttentionRerank, nodes: list[NodeWithScore], places: list[int], query: str, trim: Trim
) -> list[NodeWithScore]:
    """All nodes ranked and whole, and the event of what `_trim_texts` would do.

    Within what nodes without text leave of the budget, by the sum of what each of them takes.
    """
    others = [found for place, found in enumerate(nodes) if place not in places]
    taken = n_tokens(trim, others)
    ranking, result = _rank_texts(rerank, nodes, places, query, less(trim, taken))
    saving = cast("Saving", ranking.saving)
    n_left = len(saving.chunks) + len(others)
    before, after = n_tokens(trim, nodes), saving.n_tokens_after + taken
    dispatcher.event(_event(ranking, len(nodes), n_left, before, after))
    return result


def _event(
    ranking: Ranking, n_before: int, n_after: int, tokens_before: int, tokens_after: int
) -> AttentionTrimEvent:
    left = ranking if ranking.saving is None else ranking.saving
    spans = [span for chunk in (*left.chunks, *left.dropped) for span in chunk.spans]
    n_kept = sum(span.kept for span in spans)
    return AttentionTrimEvent(
        n_nodes_before=n_before,
        n_nodes_after=n_after,
        n_tokens_before=tokens_before,
        n_tokens_after=tokens_after,
        n_spans_kept=n_kept,
        n_spans_dropped=len(spans) - n_kept,
        dry_run=ranking.saving is not None,
        evidence=ranking.evidence,
        no_evidence=ranking.no_evidence,
    )


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
