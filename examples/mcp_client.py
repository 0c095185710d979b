"""Start the MCP server, look at its tool, and call it: what an agent's host does.

python examples/mcp_client.py [QUESTION]
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from corpus import OPENING_QUESTIONS, read_openings
from mcp import Client, StdioServerParameters
from mcp.types import TextContent

SERVER = Path(__file__).with_name("mcp_server.py")


async def main(question: str) -> None:
    """Print the tool, what it keeps of articles, and what it says to an invalid call."""
    command = StdioServerParameters(
        command=sys.executable, args=[str(SERVER)], env=dict(os.environ)
    )
    articles = read_openings()
    passages = [{"source": each["title"], "text": each["text"]} for each in articles]
    async with Client(command) as client:
        for tool in (await client.list_tools()).tools:
            print(f"{tool.name}({', '.join(tool.input_schema['properties'])}): {tool.description}")

        arguments = {"question": question, "passages": passages, "max_tokens": 120, "top_n": 3}
        result = await client.call_tool("rank_and_trim", arguments)
        found = result.structured_content
        print(f"{question}\nevidence {found['evidence']:.3f}")
        for kept in found["kept"]:
            place = f"{kept['source']}, characters {kept['start']} to {kept['end']}"
            print(f"  {kept['score']:.3f}  {place}: {' '.join(kept['text'].split())}")

        wrong = await client.call_tool("rank_and_trim", {**arguments, "max_tokens": 1})
        said = [block.text for block in wrong.content if isinstance(block, TextContent)]
        print(f"error: {wrong.is_error}: {' '.join(said)}")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else OPENING_QUESTIONS[0]))
