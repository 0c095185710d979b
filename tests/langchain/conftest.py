"""Fixtures of the LangChain adapter's tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.vectorstores import InMemoryVectorStore

from attnmass import AttentionRanker, HeadProfile
from langchain_attn import AttentionRerank
from tests.conftest import HEADS
from tests.langchain.support import make_documents


@pytest.fixture
def documents() -> list[Document]:
    """Eight documents."""
    return make_documents()


@pytest.fixture
def rerank(ranker: AttentionRanker) -> AttentionRerank:
    """An adapter over the tiny ranker."""
    return AttentionRerank.from_ranker(ranker, top_n=3, add_scores=True)


@pytest.fixture
def store(documents: list[Document]) -> InMemoryVectorStore:
    """The documents in a vector store."""
    store = InMemoryVectorStore(DeterministicFakeEmbedding(size=8))
    store.add_documents(documents)
    return store


@pytest.fixture(scope="session")
def profile_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A head profile for `tiny_folder`."""
    path: Path = tmp_path_factory.mktemp("profile") / "tiny.json"
    profile = HeadProfile.from_heads(HEADS, model="tiny", layout="parallel")
    path.write_text(profile.to_json(), encoding="utf-8")
    return str(path)
