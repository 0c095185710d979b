"""LlamaIndex: a chat engine that reads 150 tokens for each turn."""

from __future__ import annotations

from corpus import OPENING_QUESTIONS, show_spans
from llama_index.core.chat_engine import ContextChatEngine
from shared_llama_index import SmallLLM, open_index
from transformers.utils import logging

from llama_index_attn import AttentionRerank, cite

logging.set_verbosity_error()


def main() -> None:
    """Talk, and print for each turn what the small model says, and what it was given to read.

    `CondensePlusContextChatEngine` takes the same arguments, for models that are good enough to
    rephrase a follow-up question.
    """
    engine = ContextChatEngine.from_defaults(
        open_index().as_retriever(similarity_top_k=20),
        llm=SmallLLM(),
        node_postprocessors=[AttentionRerank(top_n=3, max_tokens=150)],
        system_prompt="Answer in one sentence.",
    )
    for question in OPENING_QUESTIONS:
        response = engine.chat(question)
        print(f"{question}\n{response}")
        sources = cite(response.source_nodes).sources
        show_spans((s.metadata["title"], s.doc_start, s.doc_end, s.text) for s in sources)
        print()


if __name__ == "__main__":
    main()
