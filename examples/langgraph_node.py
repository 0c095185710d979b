"""LangGraph: a node that trims what another one retrieved."""

from __future__ import annotations

import asyncio
from typing import TypedDict

from corpus import OPENING_QUESTIONS, show_spans
from langchain_core.documents import Document
from langgraph.graph import END, START, StateGraph
from shared_langchain import open_retriever
from transformers.utils import logging

from langchain_attn import AttentionRerank, cite

logging.set_verbosity_error()
RETRIEVER = open_retriever()
RERANK = AttentionRerank(top_n=3, max_tokens=150, document_template="{title}\n{page_content}")


class State(TypedDict, total=False):
    """What the nodes pass on."""

    question: str
    documents: list[Document]
    context: str


async def retrieve(state: State) -> State:
    """Retrieve documents for a question."""
    return {"documents": await RETRIEVER.ainvoke(state["question"])}


async def trim(state: State) -> State:
    """Keep those that the question looks at, cut to what it looks at; the event loop goes on."""
    kept = await RERANK.acompress_documents(state["documents"], state["question"])
    return {"documents": list(kept)}


def number(state: State) -> State:
    """Make the text for a prompt, with a number after each span."""
    return {"context": cite(state["documents"]).text}


async def main() -> None:
    """Run the graph, and print what a model would get."""
    builder = StateGraph(State)
    for node in (retrieve, trim, number):
        builder.add_node(node)
    for before, after in ((START, "retrieve"), ("retrieve", "trim"), ("trim", "number")):
        builder.add_edge(before, after)
    builder.add_edge("number", END)
    graph = builder.compile()
    for question in OPENING_QUESTIONS:
        state = await graph.ainvoke({"question": question})
        print(f"{question}\n{state['context']}")
        sources = cite(state["documents"]).sources
        show_spans((s.metadata["title"], s.doc_start, s.doc_end, s.text) for s in sources)
        print()


if __name__ == "__main__":
    asyncio.run(main())
