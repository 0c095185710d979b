"""What the contract's tests run over."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from attnmass import HeadProfile
from tests.conftest import HEADS
from tests.contract.adapters import Adapter, LangChainAdapter, LlamaIndexAdapter
from tests.contract.wire import RemoteLangChain, RemoteLlamaIndex, served

LOCAL = {"llama_index": LlamaIndexAdapter, "langchain": LangChainAdapter}
REMOTE = {"llama_index over HTTP": RemoteLlamaIndex, "langchain over HTTP": RemoteLangChain}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One framework after the other, with a ranker in the process and with one behind a server.

    What is marked `in_process` asks for nothing that a server has a part in.
    """
    if "adapter" in metafunc.fixturenames:
        here = metafunc.definition.get_closest_marker("in_process") is not None
        kinds = LOCAL if here else LOCAL | REMOTE
        metafunc.parametrize("adapter", kinds.values(), ids=kinds.keys(), indirect=True)


@pytest.fixture
def adapter(request: pytest.FixtureRequest) -> Iterator[Adapter]:
    """One of them; servers end with the test."""
    made = request.param()
    with ExitStack() as stack:
        if made.is_remote:
            urls: dict[int, str] = {}

            def url(ranker: Any) -> str:
                if id(ranker) not in urls:
                    urls[id(ranker)] = stack.enter_context(served(ranker))
                return urls[id(ranker)]

            made.serve(url)
        yield made


@pytest.fixture
def named(tiny_folder: Path, tmp_path: Path) -> dict[str, Any]:
    """Fields that name the tiny model, heads included."""
    profile = HeadProfile.from_heads(HEADS, model=str(tiny_folder), layout="parallel")
    path = tmp_path / "heads.json"
    path.write_text(profile.to_json(), encoding="utf-8")
    return {"model": str(tiny_folder), "profile": str(path), "dtype": "float32"}
