"""LlamaIndex: a workflow with a step that trims while the event loop goes on with other work."""

from __future__ import annotations

import asyncio

from corpus import OPENING_QUESTIONS, show_spans
from llama_index.core import VectorStoreIndex
from llama_index.core.schema import NodeWithScore
from llama_index.core.workflow import Event, StartEvent, StopEvent, Workflow, step
from shared_llama_index import open_index
from transformers.utils import logging

from llama_index_attn import AttentionRerank, cite

logging.set_verbosity_error()


class Asked(StartEvent):
    """A question."""

    question: str


class Retrieved(Event):
    """What the index has on the question."""

    question: str
    nodes: list[NodeWithScore]


class LookUp(Workflow):
    """Retrieves, then keeps what the question looks at."""

    def __init__(self, index: VectorStoreIndex) -> None:
        """Take an index."""
        super().__init__(timeout=300)
        self._retriever = index.as_retriever(similarity_top_k=20)
        self._rerank = AttentionRerank(top_n=3, max_tokens=150)

    @step
    async def retrieve(self, asked: Asked) -> Retrieved:
        """Retrieve from the index."""
        nodes = await self._retriever.aretrieve(asked.question)
        return Retrieved(question=asked.question, nodes=nodes)

    @step
    async def trim(self, found: Retrieved) -> StopEvent:
        """Trim in the reranker's own thread: loading the model does not stop the loop either."""
        nodes = await self._rerank.apostprocess_nodes(found.nodes, query_str=found.question)
        return StopEvent(result=nodes)


async def beat(seconds: float = 0.05) -> None:
    """Other work on the same loop."""
    while True:
        await asyncio.sleep(seconds)
        BEATS.append(asyncio.get_running_loop().time())


BEATS: list[float] = []


async def main() -> None:
    """Run the workflow for two questions at once, and count what else the loop did."""
    workflow = LookUp(open_index())
    heart = asyncio.create_task(beat())
    found = await asyncio.gather(*(workflow.run(question=each) for each in OPENING_QUESTIONS))
    heart.cancel()
    for question, nodes in zip(OPENING_QUESTIONS, found, strict=True):
        print(question)
        sources = cite(nodes).sources
        show_spans((s.metadata["title"], s.doc_start, s.doc_end, s.text) for s in sources)
    print(f"\nThe event loop went round {len(BEATS)} more times meanwhile.")


if __name__ == "__main__":
    asyncio.run(main())
