"""From LlamaIndex nodes to chunks and back; nothing that comes in is changed."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

from llama_index.core.bridge.pydantic import ValidationError
from llama_index.core.schema import BaseNode, ImageNode, MetadataMode, NodeWithScore, QueryBundle

from attnmass import Chunk, RankedChunk, Ranking
from attnmass.adapters.copying import copied
from attnmass.adapters.telling import tell, tell_of_trim
from attnmass.options.checks import check_items, check_type
from attnmass.options.keywords import names_nearest
from attnmass.results import hidden

if TYPE_CHECKING:
    from llama_index_attn.rerank import AttentionRerank

# The one metadata key that is added to nodes.
HIDDEN_KEY = hidden.KEY

_MEDIA = ("image_resource", "audio_resource", "video_resource")
_OFFSETS = ("start_char_idx", "end_char_idx")

Found = TypeVar("Found", bound=NodeWithScore | BaseNode)


def check_nodes(nodes: Sequence[BaseNode]) -> None:
    """Raise `TypeError` for what is not a sequence of nodes without scores."""
    check_items("nodes", nodes, BaseNode, instead="[TextNode(text=text)]")


def check_found(nodes: Sequence[NodeWithScore]) -> None:
    """Raise `TypeError` for what is not a sequence of nodes with scores."""
    instead = "[NodeWithScore(node=node)], as retrievers return them"
    check_items("nodes", nodes, NodeWithScore, instead=instead)


def check_query(query_bundle: object) -> None:
    """Raise `TypeError` for what is not a query bundle; `None` stands for no query."""
    if isinstance(query_bundle, str):
        raise TypeError("query_bundle must be a QueryBundle: pass a text as query_str=...")
    check_type("query_bundle", query_bundle, QueryBundle, optional="no query")


def is_text(node: BaseNode) -> bool:
    """Whether there is something to read: all but images, audio and video without any text."""
    if node.get_content(MetadataMode.NONE).strip():
        return True
    media = any(getattr(node, name, None) is not None for name in _MEDIA)
    return not (media or isinstance(node, ImageNode))


def to_chunk(node: BaseNode, mode: MetadataMode) -> Chunk:
    """The node's text, under its metadata as `mode` renders it, without what we added before."""
    title = _without_ours(node).get_metadata_str(mode).strip() or None
    return Chunk(node.get_content(MetadataMode.NONE), title, metadata=node.metadata)


def copy_node(found: Found) -> Found:
    """A deep copy; only what an `IndexNode` refers to (an index, a retriever) is shared."""
    target = getattr(_node(found), "obj", None)
    memo = {id(target): target}
    try:
        return copy.deepcopy(found, dict(memo))
    except Exception:  # metadata has a lock, or another thing that is not to be copied
        node = _node(found).model_copy()
        vars(node).update({name: copied(value, memo) for name, value in vars(node).items()})
        if isinstance(found, NodeWithScore):
            return found.model_copy(update={"node": node})
        return cast("Found", node)


def to_node(
    found: NodeWithScore,
    chunk: RankedChunk,
    ranking: Ranking,
    *,
    place: int,
    rerank: AttentionRerank,
    separator: str | None,
) -> NodeWithScore:
    """A copy of a retrieved node with its new score, cut to what is kept of it.

    Args:
        found: The node.
        chunk: What it became in `ranking`.
        ranking: The call's.
        place: Its position in the input.
        rerank: Says what is written into the metadata.
        separator: What stands where text was dropped; `None` if trimming was not asked for.
    """
    result = copy_node(found)
    _set(result, "score", chunk.score)
    told = tell(rerank, ranking, chunk, place)
    if separator is not None:
        told |= _trim(result.node, chunk, separator, rerank)
    if told:
        _write(result.node, told)
    return result


def _trim(
    node: BaseNode, chunk: RankedChunk, separator: str, rerank: AttentionRerank
) -> dict[str, Any]:
    """Cut a node to what is kept of it, and tell what that is."""
    original = node.get_content(MetadataMode.NONE)
    offset = parent_offset(node)
    found = tell_of_trim(rerank, chunk, original, offset, separator)
    if chunk.text == original:
        return found
    if rerank.keep_original:
        found |= {f"original_{name}": getattr(node, name) for name in _OFFSETS if _has(node, name)}
    named = hidden.one_slice(chunk.kept_spans, original, chunk.text)
    known = named is not None and offset is not None
    for name, place in zip(_OFFSETS, named or (0, 0), strict=True):
        if _has(node, name):
            _set(node, name, (offset or 0) + place if known else None)
    set_text(node, chunk.text)
    return found


def _write(node: BaseNode, told: dict[str, Any]) -> None:
    """Put details into the metadata, hidden from what the LLM and the embedder are shown."""
    before = _hidden_from(hidden.read(node.metadata))
    lists = _excluded_keys(node)
    added = [name for name, keys in lists.items() if HIDDEN_KEY not in keys]
    for name in added:
        lists[name].append(HIDDEN_KEY)
    told["hidden_from"] = [*before, *(name for name in added if name not in before)]
    hidden.write(node.metadata, told)


@names_nearest
def details(found: NodeWithScore | BaseNode) -> dict[str, Any]:
    """What a reranker of this package wrote into a node's metadata, as plain data.

    Args:
        found: A node, with or without a score.

    Returns:
        Empty if nothing: only trimming, `add_scores` or `keep_retrieval_score` writes anything.
        `AttentionRerank` explains the names.

    Raises:
        TypeError: If it is not a node.
    """
    _check_node(found)
    return dict(hidden.read(_node(found).metadata))


@names_nearest
def restore(found: Found) -> Found:
    """What was passed to the reranker that returned this node, as far as it changed that.

    Args:
        found: A node, with or without a score, from `AttentionRerank` or `AttentionRetriever`. If
            it was trimmed, with `keep_original`.

    Returns:
        A copy with the original text and offsets, and without what is under `"attnmass"`, which has
        to fit the text: what was changed since, or never belonged to that text, is left as it is.
        Its `embedding` is `None` where the text had been trimmed. With `add_scores` it has its
        retrieval score again, except where another postprocessor set a score since. What no
        reranker of this package returned is copied.

    Raises:
        TypeError: If it is not a node.
        ValueError: If it was trimmed and its original text was not kept.
    """
    _check_node(found)
    result = copy_node(found)
    node = _node(result)
    ours = hidden.read(node.metadata)
    if not ours:
        return result
    text = node.get_content(MetadataMode.NONE)
    hidden.check_restorable(ours, text)
    original = hidden.source_text(ours, text)
    del node.metadata[HIDDEN_KEY]
    lists = _excluded_keys(node)
    for name in _hidden_from(ours):
        if HIDDEN_KEY in lists[name]:
            lists[name].remove(HIDDEN_KEY)
    if original is not None and original != text:
        set_text(node, original)
        for name in _OFFSETS:
            if _has(node, name):
                place = ours.get(f"original_{name}")
                _set(node, name, place if isinstance(place, int) else None)
    if isinstance(result, NodeWithScore) and "score" in ours and result.score == ours["score"]:
        _set(result, "score", ours.get("retrieval_score"))
    return result


def as_retrieved(found: NodeWithScore) -> NodeWithScore:
    """The node itself, or what it was before this process trimmed it and nobody changed it since.

    Whoever masks names in a trimmed node, for one, does not get them back.
    """
    trimmed = hidden.read(found.node.metadata)
    text = found.node.get_content(MetadataMode.NONE)
    return found if hidden.own_source_text(trimmed, text) is None else restore(found)


def set_text(node: BaseNode, text: str) -> None:
    """Replace the text of a copy; embeddings of it go with it."""
    resource = getattr(node, "text_resource", None)
    try:
        node.set_content(text)
    except ValidationError:  # of a class that is frozen, or checks what is assigned
        if resource is None:
            _set(node, "text", text)
    if resource is not None:  # of which `set_content` keeps nothing
        _set(node, "text_resource", resource.model_copy(update={"text": text, "embeddings": None}))
    for name in ("embedding", "text_embedding"):
        if _has(node, name):
            _set(node, name, None)


def _set(node: BaseNode | NodeWithScore, name: str, value: Any) -> None:
    """Set a field of a copy, whose class may be frozen, or check what is assigned."""
    vars(node)[name] = value


def parent_offset(node: BaseNode) -> int | None:
    """Where the node's text begins in its parent's, if its offsets name as much as it has."""
    start, end = (getattr(node, name, None) for name in _OFFSETS)
    if start is None or end is None:
        return None
    return start if end - start == len(node.get_content(MetadataMode.NONE)) else None


class Rendered:
    """What the reader gets of nodes: `MetadataMode.LLM`, as response synthesizers render them."""

    def __init__(self, nodes: Sequence[BaseNode]) -> None:
        """Take light copies."""
        self._nodes = [_without_ours(node) for node in nodes]

    def __call__(self, index: int, text: str) -> str:
        """One of them with another text."""
        node = self._nodes[index].model_copy()
        set_text(node, text)
        return node.get_content(MetadataMode.LLM)


def _without_ours(node: BaseNode) -> BaseNode:
    """A shallow copy without what we added to the metadata."""
    metadata = {key: value for key, value in node.metadata.items() if key != HIDDEN_KEY}
    return node.model_copy(update={"metadata": metadata})


def _excluded_keys(node: BaseNode) -> dict[str, list[str]]:
    return {
        "llm": node.excluded_llm_metadata_keys,
        "embed": node.excluded_embed_metadata_keys,
    }


def _hidden_from(ours: Mapping[str, Any]) -> list[str]:
    """The lists of excluded keys that we added ours to."""
    found = ours.get("hidden_from", ())
    return [name for name in ("llm", "embed") if isinstance(found, Sequence) and name in found]


def _has(node: BaseNode, name: str) -> bool:
    return name in type(node).model_fields


def _check_node(found: object) -> None:
    if not isinstance(found, NodeWithScore | BaseNode):
        raise TypeError(
            f"{type(found).__name__} is not a node: pass one, or call this for each of several"
        )


def _node(found: NodeWithScore | BaseNode) -> BaseNode:
    return found.node if isinstance(found, NodeWithScore) else found


def visible_metadata(node: BaseNode) -> dict[str, Any]:
    """The metadata without what we added."""
    return _without_ours(node).metadata if hidden.read(node.metadata) else dict(node.metadata)
