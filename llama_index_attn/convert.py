"""From LlamaIndex nodes to chunks and back; nothing that comes in is changed."""

from __future__ import annotations

import copy

from llama_index.core.schema import BaseNode, ImageNode, MetadataMode, NodeWithScore

from attnmass import Chunk, RankedChunk

# The one metadata key that is added to nodes.
HIDDEN_KEY = "attnmass"

_MEDIA = ("image_resource", "audio_resource", "video_resource")


def is_text(node: BaseNode) -> bool:
    """Whether there is something to read: all but images, audio and video without any text."""
    if node.get_content(MetadataMode.NONE).strip():
        return True
    media = any(getattr(node, name, None) is not None for name in _MEDIA)
    return not (media or isinstance(node, ImageNode))


def to_chunk(node: BaseNode, mode: MetadataMode) -> Chunk:
    """The node's text, under its metadata as `mode` renders it, without what we added before."""
    if HIDDEN_KEY in node.metadata:
        metadata = {key: value for key, value in node.metadata.items() if key != HIDDEN_KEY}
        node = node.model_copy(update={"metadata": metadata})
    title = node.get_metadata_str(mode).strip() or None
    return Chunk(node.get_content(MetadataMode.NONE), title)


def copy_node(found: NodeWithScore) -> NodeWithScore:
    """A deep copy; only what an `IndexNode` refers to (an index, a retriever) is shared."""
    target = getattr(found.node, "obj", None)
    return copy.deepcopy(found, {id(target): target})


def to_node(
    found: NodeWithScore, ranked: RankedChunk, *, rank_before: int, model: str
) -> NodeWithScore:
    """A copy of the retrieved node with its new score, and with the old one in its metadata."""
    optional = {
        "fused_score": ranked.fused_score,
        "n_windows": ranked.n_windows if ranked.n_windows > 1 else None,
        "skipped": ranked.skipped,
    }
    result = copy_node(found)
    result.score = ranked.score
    result.node.metadata[HIDDEN_KEY] = {
        "score": ranked.score,
        "retrieval_score": ranked.retrieval_score,
        "rank_before": rank_before,
        "n_tokens": ranked.n_tokens,
        "model": model,
        **{name: value for name, value in optional.items() if value is not None},
    }
    node = result.node
    for hidden in (node.excluded_llm_metadata_keys, node.excluded_embed_metadata_keys):
        if HIDDEN_KEY not in hidden:
            hidden.append(HIDDEN_KEY)
    return result
