"""The README's code runs as it stands and prints what stands below it; and it stays short."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
LONGEST = 200  # lines


def blocks() -> list[tuple[str, str | None]]:
    """Each block of Python, and the block of text below it, which is what it prints."""
    fences = [token for token in MarkdownIt().parse(TEXT) if token.type == "fence"]
    return [
        (one.content, other.content if other is not None and other.info == "text" else None)
        for one, other in zip(fences, [*fences[1:], None], strict=True)
        if one.info == "python"
    ]


def pipelines(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What somebody has before: an index of LlamaIndex and a vector store of LangChain."""
    from langchain_core.embeddings import DeterministicFakeEmbedding
    from langchain_core.vectorstores import InMemoryVectorStore
    from llama_index.core import Document, MockEmbedding, Settings, VectorStoreIndex
    from llama_index.core.llms import MockLLM

    monkeypatch.setattr(Settings, "_llm", MockLLM())
    store = InMemoryVectorStore(DeterministicFakeEmbedding(size=8))
    store.add_texts(["Ulm is on the Danube."])
    index = VectorStoreIndex.from_documents(
        [Document(text="Ulm is on the Danube.")], embed_model=MockEmbedding(embed_dim=8)
    )
    return {"index": index, "store": store}


def test_is_short() -> None:
    """A newcomer reads it in five minutes."""
    assert len(TEXT.splitlines()) <= LONGEST


def test_links_lead_somewhere() -> None:
    """Files that it links to, and pictures, are there."""
    found = re.findall(r"\]\(([^)#]+)", TEXT)
    assert len(found) > 10
    assert [one for one in found if "://" not in one and not (ROOT / one).exists()] == []


@pytest.mark.slow
def test_code_prints_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """All blocks, one after the other; where text stands below one, it is what was printed."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    names = pipelines(monkeypatch)
    compared = 0
    for code, expected in blocks():
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, "README.md", "exec"), names)
        if expected is not None:
            assert printed.getvalue() == expected
            compared += 1
    assert compared >= 2
    response = names["engine"].query("Where is Ulm?")  # the pipelines that it builds work
    assert len(response.source_nodes) == 1
    assert len(names["retriever"].invoke("Where is Ulm?")) == 1
