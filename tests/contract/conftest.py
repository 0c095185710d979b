"""What the contract's tests run over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from attnmass import HeadProfile
from tests.conftest import HEADS
from tests.contract.adapters import Adapter, LangChainAdapter, LlamaIndexAdapter


@pytest.fixture(params=[LlamaIndexAdapter, LangChainAdapter], ids=["llama_index", "langchain"])
def adapter(request: pytest.FixtureRequest) -> Adapter:
    """One framework after the other."""
    return request.param()


@pytest.fixture
def named(tiny_folder: Path, tmp_path: Path) -> dict[str, Any]:
    """Fields that name the tiny model, heads included."""
    profile = HeadProfile.from_heads(HEADS, model=str(tiny_folder), layout="parallel")
    path = tmp_path / "heads.json"
    path.write_text(profile.to_json(), encoding="utf-8")
    return {"model": str(tiny_folder), "profile": str(path), "dtype": "float32"}
