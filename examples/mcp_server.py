"""An MCP server with one tool, which ranks passages for a question and trims them to a budget.

python examples/mcp_server.py [MODEL]; it speaks MCP over standard input and output.
"""

from __future__ import annotations

import sys
from typing import Annotated

from anyio import to_thread
from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import BaseModel, Field

from attnmass import AttnMassError, Chunk, Trim, shared_ranker

MODEL = sys.argv[1] if len(sys.argv) > 1 else "smollm2-135m"
server = MCPServer("attnmass", log_level="WARNING")


class Passage(BaseModel):
    """A text that was found."""

    source: str = Field(description="What it is called: a title, a file name, a URL")
    text: str = Field(description="The text", max_length=200_000)


class Kept(BaseModel):
    """A span of a passage that is worth reading."""

    source: str = Field(description="The passage's source")
    passage: int = Field(description="Position of the passage in what was sent, from 0")
    start: int = Field(description="First character of the span in the passage's text, from 0")
    end: int = Field(description="One past its last character")
    text: str = Field(description="The span, verbatim")
    score: float = Field(description="Share of the question's attention that its passage got")


class Evidence(BaseModel):
    """What there is on the question."""

    kept: list[Kept] = Field(description="Passages best first, their spans in reading order")
    evidence: float = Field(description="How much the question found in all of it, from 0 to 1")


MaxTokens = Annotated[int, Field(description="Tokens to keep at most", ge=1, le=100_000)]
TopN = Annotated[int, Field(description="Passages to keep at most", ge=1)]


@server.tool(annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False))
async def rank_and_trim(
    question: str, passages: list[Passage], max_tokens: MaxTokens = 400, top_n: TopN | None = None
) -> Evidence:
    """Keep the sentences of passages that a question looks at, verbatim and with offsets."""
    chunks = [Chunk(each.text, title=each.source) for each in passages]
    try:  # both in threads: the first call loads the model, and all share it
        ranker = await to_thread.run_sync(shared_ranker, MODEL)
        found = await ranker.arank(question, chunks, top_n=top_n, trim=Trim(max_tokens=max_tokens))
    except (AttnMassError, ValueError) as error:
        raise ToolError(str(error)) from error  # for the caller to read and fix
    kept = [
        Kept(
            source=passages[chunk.index].source,
            passage=chunk.index,
            start=span.start,
            end=span.end,
            text=passages[chunk.index].text[span.start : span.end],
            score=chunk.score,
        )
        for chunk in found.chunks
        for span in chunk.kept_spans
    ]
    return Evidence(kept=kept, evidence=found.evidence)


if __name__ == "__main__":
    server.run()
