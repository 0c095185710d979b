"""The example MCP server, asked by the official client."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import sys
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from mcp import Client, StdioServerParameters

from attnmass import AttentionRanker, Ranking

SERVER = Path(__file__).parents[1] / "examples" / "mcp_server.py"
QUESTION = "Who invented the theory of relativity?"
PASSAGES = [
    {"source": "Rivers", "text": "The river runs through the city. It is long."},
    {"source": "Einstein", "text": "Einstein, a physicist, developed it in 1905. He liked trains."},
]


@pytest.fixture
def module() -> ModuleType:
    """The server's module, fresh."""
    spec = importlib.util.spec_from_file_location("mcp_server", SERVER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["mcp_server"] = module  # pydantic looks annotations up there
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules["mcp_server"]
    module.MODEL = "smollm2-135m"
    return module


@pytest.fixture
def loaded(ranker: AttentionRanker, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was loaded: the tiny model, whatever the name."""
    names: list[str] = []

    def load(name: str, **options: Any) -> AttentionRanker:
        names.append(name)
        return ranker

    monkeypatch.setattr(AttentionRanker, "from_pretrained", load)
    return names


def text_of(result: Any) -> str:
    """What the model is told."""
    return " ".join(block.text for block in result.content)


async def ask(client: Client, **changed: Any) -> Any:
    """Call the tool with some arguments of one's own."""
    return await client.call_tool(
        "rank_and_trim", {"question": QUESTION, "passages": PASSAGES, **changed}
    )


async def test_schema_says_what_goes_in_and_out(module: ModuleType, loaded: list[str]) -> None:
    """The tool names its arguments with bounds and defaults, and what comes back; it only reads."""
    async with Client(module.server) as client:
        (tool,) = (await client.list_tools()).tools
    schema = tool.input_schema
    assert tool.name == "rank_and_trim"
    assert set(schema["required"]) == {"question", "passages"}
    assert schema["properties"]["max_tokens"]["minimum"] == 1
    assert schema["properties"]["max_tokens"]["default"] == 400
    passage = schema["$defs"]["Passage"]
    assert set(passage["required"]) == {"source", "text"}
    assert all("description" in field for field in passage["properties"].values())
    assert tool.output_schema is not None
    kept = tool.output_schema["$defs"]["Kept"]["properties"]
    assert set(kept) == {"source", "passage", "start", "end", "text", "score"}
    assert "evidence" in tool.output_schema["properties"]
    assert tool.annotations is not None
    assert tool.annotations.read_only_hint is True
    assert loaded == []  # to be asked what there is takes no model


async def test_result_is_the_rankers(
    module: ModuleType, loaded: list[str], ranker: AttentionRanker
) -> None:
    """Spans are verbatim at their offsets, and scores and evidence those of the ranker."""
    from attnmass import Chunk

    chunks = [Chunk(each["text"], title=each["source"]) for each in PASSAGES]
    expected = ranker.trim(QUESTION, chunks, max_tokens=25, top_n=5)
    async with Client(module.server) as client:
        result = await ask(client, max_tokens=25)
    found = result.structured_content
    assert not result.is_error
    assert found["evidence"] == pytest.approx(expected.evidence)
    places = [
        (chunk.index, span.start, span.end)
        for chunk in expected.chunks
        for span in chunk.kept_spans
    ]
    assert [(each["passage"], each["start"], each["end"]) for each in found["kept"]] == places != []
    scores = {chunk.index: chunk.score for chunk in expected.chunks}
    for each in found["kept"]:
        passage = PASSAGES[each["passage"]]
        assert each["source"] == passage["source"]
        assert passage["text"][each["start"] : each["end"]] == each["text"]
        assert each["score"] == pytest.approx(scores[each["passage"]])


async def test_model_is_loaded_once(module: ModuleType, loaded: list[str]) -> None:
    """Calls at the same time and later ones share one model."""
    async with Client(module.server) as client:
        results = await asyncio.gather(*(ask(client) for _ in range(5)))
        results.append(await ask(client))
    assert loaded == ["smollm2-135m"]
    contents = [result.structured_content for result in results]
    assert contents.count(contents[0]) == 6


async def test_the_loop_goes_on(
    module: ModuleType, loaded: list[str], ranker: AttentionRanker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the model loads, and while it reads, the server answers others."""
    loading, reading = threading.Event(), threading.Event()
    load, rank = AttentionRanker.from_pretrained, ranker.rank
    # With a limit, so that a server that waits fails the test rather than hangs it.
    waited: list[bool] = []

    def slow_load(name: str, **options: Any) -> AttentionRanker:
        waited.append(loading.wait(20))
        return load(name, **options)

    def slow_rank(*arguments: Any, **options: Any) -> Ranking:
        waited.append(reading.wait(20))
        return rank(*arguments, **options)

    monkeypatch.setattr(AttentionRanker, "from_pretrained", slow_load)
    monkeypatch.setattr(ranker, "rank", slow_rank)
    async with Client(module.server, cache=None) as client:
        call = asyncio.create_task(ask(client))
        for event in (loading, reading):
            await asyncio.sleep(0.05)
            assert len((await client.list_tools()).tools) == 1
            assert not call.done()
            event.set()
        assert not (await call).is_error
    assert waited == [True, True]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"question": " "}, "the query is empty or blank"),
        ({"question": None}, "question"),
        ({"max_tokens": 0}, "greater than or equal to 1"),
        ({"max_tokens": 1}, "max_tokens"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"top_n": 0}, "greater than or equal to 1"),
        ({"passages": "a text"}, "passages"),
        ({"passages": [{"text": "no source"}]}, "source"),
    ],
    ids=str,
)
async def test_wrong_calls_are_tool_errors(
    module: ModuleType, loaded: list[str], changed: dict[str, Any], said: str
) -> None:
    """What the caller can mend comes back as an error of the tool; then all is well again."""
    async with Client(module.server) as client:
        result = await ask(client, **changed)
        assert result.is_error
        assert said in text_of(result)
        assert "Traceback" not in text_of(result)
        assert not (await ask(client)).is_error


async def test_nothing_to_pick_from(module: ModuleType, loaded: list[str]) -> None:
    """Without passages, or with blank ones, nothing is kept and there is no evidence."""
    async with Client(module.server) as client:
        for passages in ([], [{"source": "blank", "text": " "}]):
            result = await ask(client, passages=passages)
            assert not result.is_error
            assert result.structured_content == {"kept": [], "evidence": 0.0}


@pytest.mark.slow
async def test_over_stdio(tiny_folder: Path) -> None:
    """A process of its own, with a model by its folder; one that is not there is an error."""
    for model, fails in ((tiny_folder, False), (tiny_folder / "not-there", True)):
        command = StdioServerParameters(
            command=sys.executable, args=[str(SERVER), str(model)], env=dict(os.environ)
        )
        async with Client(command) as client:
            result = await ask(client)
            assert result.is_error is fails
            if fails:
                assert "not-there" in text_of(result)
            else:
                assert result.structured_content["kept"]
