"""Numbered citations of nodes."""

from __future__ import annotations

from collections.abc import Sequence

from llama_index.core.schema import BaseNode, MetadataMode, NodeWithScore

from attnmass.options.checks import check_items
from attnmass.options.keywords import names_nearest
from attnmass.results import citations, hidden
from attnmass.results.citations import Cited, Passage
from llama_index_attn.convert import parent_offset, visible_metadata


@names_nearest
def cite(nodes: Sequence[NodeWithScore | BaseNode], *, marker: str | None = None) -> Cited:
    r"""Number what was kept of nodes, for a prompt that asks the LLM to cite.

    Args:
        nodes: From `AttentionRerank`, `AttentionRetriever`, or any retriever: a node that was not
            trimmed is cited as a whole, one without text is left out.
        marker: As in `attnmass.results.citations.cite`.

    Returns:
        The texts with markers, without metadata, and what each marker stands for. A source's
        `chunk_id` is the node's id, its `parent_id` that of the node's source document.

    Raises:
        ValueError: If `marker` is malformed or looks like something in the texts.
        TypeError: If there is anything other than nodes.

    Example:
        >>> cited = cite(rerank.postprocess_nodes(nodes, query_str=question))
        >>> answer = llm.complete(f"{cited.text}\n\nAnswer with citations: {question}")
        >>> [source.text for source in cited.resolve(str(answer))]
    """
    check_items("nodes", nodes, (NodeWithScore, BaseNode), instead="a list of nodes")
    return citations.cite([_passage(found) for found in nodes], marker=marker)


def _passage(found: NodeWithScore | BaseNode) -> Passage:
    node = found.node if isinstance(found, NodeWithScore) else found
    return citations.to_passage(
        hidden.read(node.metadata),
        node.get_content(MetadataMode.NONE),
        offset=parent_offset(node),
        chunk_id=node.node_id,
        parent_id=node.ref_doc_id,
        metadata=visible_metadata(node),
    )
