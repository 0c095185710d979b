"""What runs once for each framework."""

from __future__ import annotations

import pytest

from tests.contract.adapters import Adapter, LangChainAdapter, LlamaIndexAdapter


@pytest.fixture(params=[LlamaIndexAdapter, LangChainAdapter], ids=["llama_index", "langchain"])
def adapter(request: pytest.FixtureRequest) -> Adapter:
    """One framework after the other."""
    return request.param()
