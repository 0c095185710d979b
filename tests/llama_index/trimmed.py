"""What the tests of trimmed nodes trim, and by what."""

from __future__ import annotations

from typing import Any

from llama_index.core.schema import BaseNode, ImageNode, NodeWithScore

from llama_index_attn import AttentionRerank
from tests.contract.one_text import TEXT, keeping
from tests.llama_index.conftest import QUERY


def like(number: int) -> str:
    """The same with other facts in every sentence, none of which repeats one of another text."""
    facts = {"Ulm": f"Ulm{number}", "1905": str(1905 + number), "violin": f"violin{number}"}
    return " ".join(facts.get(word.strip("."), word.strip(".")) + "." * word.endswith(".")
                    for word in TEXT.split(" "))  # fmt: skip


def make(**fields: Any) -> AttentionRerank:
    """A reranker that keeps the sentences about theories."""
    made: AttentionRerank = keeping(AttentionRerank, **fields)
    return made


def trim(node: BaseNode, **fields: Any) -> BaseNode:
    """One node, trimmed."""
    (result,) = make(**fields).postprocess_nodes([NodeWithScore(node=node)], query_str=QUERY)
    return result.node


def image(metadata: str, **fields: Any) -> NodeWithScore:
    """An image without text."""
    node = ImageNode(image="aGk=", id_="image", metadata={"k": metadata} if metadata else {})
    return NodeWithScore(node=node, **fields)
