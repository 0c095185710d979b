"""What of a node stays where its text is trimmed, and what `restore` brings back."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from llama_index.core.bridge.pydantic import ConfigDict, Field
from llama_index.core.schema import (
    BaseNode,
    Document,
    ImageNode,
    IndexNode,
    MediaResource,
    MetadataMode,
    Node,
    NodeRelationship,
    NodeWithScore,
    RelatedNodeInfo,
    TextNode,
)

from llama_index_attn import AttentionRerank, details, restore
from tests.contract.one_text import AT, KEPT, TEXT
from tests.contract.stub import StubRanker
from tests.llama_index.conftest import QUERY
from tests.llama_index.trimmed import make, trim
from tests.trimming.build import words


def test_everything_about_a_node_survives() -> None:
    """Only text, offsets, embedding and our own key are others than before."""
    node = TextNode(
        text=TEXT,
        id_="id",
        metadata={"title": "T", "secret": "s", "nested": {"a": [1]}},
        excluded_llm_metadata_keys=["secret"],
        excluded_embed_metadata_keys=["secret", "attnmass"],
        relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id="doc")},
        metadata_template="{key}={value}",
        metadata_separator=" | ",
        text_template="[{metadata_str}] {content}",
        start_char_idx=1000,
        end_char_idx=1000 + len(TEXT),
        embedding=[0.1, 0.2],
    )
    before = node.to_dict()
    result = trim(node)
    after = result.to_dict()
    assert {key for key in before if before[key] != after[key]} == {
        "text", "metadata", "excluded_llm_metadata_keys", "embedding", "start_char_idx",
        "end_char_idx",
    }  # fmt: skip
    assert after["text"] == KEPT
    assert after["embedding"] is None
    assert (after["start_char_idx"], after["end_char_idx"]) == (1000 + AT, 1000 + AT + len(KEPT))
    assert node.to_dict() == before
    again = restore(result).to_dict()
    assert {key for key in before if before[key] != again[key]} == {"embedding"}


def test_a_whole_node_keeps_its_embedding_and_offsets() -> None:
    """Where nothing was cut, nothing is cleared."""
    node = TextNode(text=TEXT, start_char_idx=3, end_char_idx=9, embedding=[0.1])
    result = trim(node, keep_ratio=1.0)
    assert result.get_content() == TEXT
    assert (result.start_char_idx, result.end_char_idx) == (3, 9)
    assert result.embedding == [0.1]
    assert restore(result) == node


@pytest.mark.parametrize(("start", "end"), [(5, 9), (None, 9), (5, None), (0, len(TEXT) + 1)])
def test_offsets_that_do_not_fit_the_text_are_not_trusted(start: Any, end: Any) -> None:
    """Then the parent's place is unknown, and `restore` gives back what was there."""
    node = TextNode(text=TEXT, start_char_idx=start, end_char_idx=end)
    result = trim(node)
    assert (result.start_char_idx, result.end_char_idx) == (None, None)
    assert "doc_start" not in details(result)["spans"][0]
    assert restore(result) == node


def kinds() -> list[BaseNode]:
    """A node of every kind that has text."""
    resource = MediaResource(text=TEXT, mimetype="text/markdown", url="https://example.com/a")
    return [
        TextNode(text=TEXT, id_="text"),
        Node(text_resource=resource, id_="node", embedding=[0.5]),
        Document(text=TEXT, id_="document"),
        IndexNode(text=TEXT, id_="index", index_id="i", obj=TextNode(text="target")),
        ImageNode(text=TEXT, id_="image", image="aGk=", text_embedding=[0.1]),
    ]


@pytest.mark.parametrize("node", kinds(), ids=lambda node: node.node_id)
def test_nodes_of_every_kind_are_trimmed(node: BaseNode) -> None:
    """Class and media stay, the text is what was kept, and `restore` undoes it."""
    before = copy.deepcopy(node)
    result = trim(node)
    assert type(result) is type(node)
    assert result.get_content(MetadataMode.NONE) == KEPT
    assert result.embedding is None
    assert node == before
    if isinstance(node, Node) and node.node_id == "node":
        assert result.text_resource.mimetype == "text/markdown"
        assert result.text_resource.url == node.text_resource.url
    if isinstance(node, IndexNode):
        assert result.obj is node.obj
    if isinstance(node, ImageNode):
        assert (result.image, result.text_embedding) == ("aGk=", None)
    restored = restore(result)
    for found in (restored, before):
        found.embedding = None
        if isinstance(found, ImageNode):
            found.text_embedding = None
    assert restored == before


def test_restore_takes_nodes_with_and_without_a_score() -> None:
    """The retriever's score comes back, unless someone else has set one since."""
    found = NodeWithScore(node=TextNode(text=TEXT, id_="id"), score=0.7)
    (result,) = make().postprocess_nodes([found], query_str=QUERY)
    assert result.score != 0.7
    assert restore(result) == found
    assert restore(result.node) == found.node
    result.score = 0.123
    assert restore(result).score == 0.123
    assert restore(result).node == found.node


def test_excluded_keys_come_back_over_several_passes() -> None:
    """What the first pass hid, the last one's `restore` shows again, and nothing else."""
    found = NodeWithScore(
        node=TextNode(text=TEXT, id_="id", excluded_embed_metadata_keys=["attnmass"]), score=0.5
    )
    nodes = [found]
    for fields in ({"top_p": 0.1}, {"keep_ratio": 1.0}, {"max_tokens": 10}):
        nodes = make(**fields).postprocess_nodes(nodes, query_str=QUERY)
    assert restore(nodes[0]) == found
    plain = AttentionRerank.from_ranker(StubRanker())
    twice = plain.postprocess_nodes(plain.postprocess_nodes([found]), query_str=QUERY)
    assert restore(twice[0]).node == found.node


class FrozenNode(TextNode):
    """A class whose nodes cannot be changed."""

    model_config = ConfigDict(frozen=True)
    pages: list[int] = Field(default_factory=list)


class FrozenFields(Node):
    """A class of which some fields cannot be."""

    text_resource: MediaResource | None = Field(default=None, frozen=True)
    start_char_idx: int | None = Field(default=None, frozen=True)


class FrozenFound(NodeWithScore):
    """A found node that cannot be changed."""

    model_config = ConfigDict(frozen=True)


@pytest.mark.parametrize("fields", [{}, {"max_tokens": 30, "tokenizer": words}, {"top_p": 1.0}])
@pytest.mark.parametrize("found_class", [NodeWithScore, FrozenFound])
@pytest.mark.parametrize(
    "node",
    [
        FrozenNode(
            text=TEXT,
            pages=[1],
            embedding=[0.5],
            start_char_idx=3,
            end_char_idx=3 + len(TEXT),
        ),
        FrozenFields(text_resource=MediaResource(text=TEXT)),
    ],
    ids=["class", "fields"],
)
def test_frozen_nodes(node: BaseNode, found_class: type[NodeWithScore], fields: Any) -> None:
    """A frozen class is ranked, trimmed and restored as others are, and not changed."""
    before = node.model_copy(deep=True)
    found = found_class(node=node, score=0.5)
    (result,) = make(**fields).postprocess_nodes([found], query_str=QUERY)
    assert (type(result), type(result.node)) == (found_class, type(node))
    assert result.node.get_content() == (TEXT if fields else KEPT)
    assert result.node is not node
    assert (node, found.score) == (before, 0.5)
    restored = restore(result)
    assert (restored.node.get_content(), restored.score) == (TEXT, 0.5)
    assert restored.node.start_char_idx == node.start_char_idx  # type: ignore[attr-defined]
