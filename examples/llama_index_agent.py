"""LlamaIndex: an agent whose tool looks things up and returns 120 tokens of evidence."""

from __future__ import annotations

import asyncio

from corpus import OPENING_QUESTIONS, show_spans
from llama_index.core.agent.workflow import FunctionAgent, ToolCallResult
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.response_synthesizers.context_only import ContextOnly
from llama_index.core.tools import QueryEngineTool
from scripted_llama_index import ScriptedLLM
from shared_llama_index import open_index
from transformers.utils import logging

from llama_index_attn import AttentionRetriever, cite

logging.set_verbosity_error()


def lookup_tool() -> QueryEngineTool:
    """A tool that gives the agent trimmed text to answer from."""
    retriever = AttentionRetriever(open_index().as_retriever(), fetch_k=20, top_n=3, max_tokens=120)
    synthesizer = ContextOnly(llm=ScriptedLLM())  # returns what was found, and asks no LLM
    engine = RetrieverQueryEngine(retriever, synthesizer)
    return QueryEngineTool.from_defaults(
        engine, name="look_up", description="Finds what the articles say about a question."
    )


async def main() -> None:
    """Ask, and print the tool's calls, where their text comes from, and the agent's answer."""
    agent = FunctionAgent(tools=[lookup_tool()], llm=ScriptedLLM(), streaming=False)
    for question in OPENING_QUESTIONS:
        print(question)
        run = agent.run(user_msg=question)
        async for event in run.stream_events():
            if isinstance(event, ToolCallResult):
                print(f"  {event.tool_name}({event.tool_kwargs})")
                cited = cite(event.tool_output.raw_output.source_nodes)
                show_spans(
                    (s.metadata["title"], s.doc_start, s.doc_end, s.text) for s in cited.sources
                )
        print(f"{await run}\n")


if __name__ == "__main__":
    asyncio.run(main())
