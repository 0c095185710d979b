"""LlamaIndex: index real articles, retrieve 20 chunks, keep the 5 that the question looks at."""

from __future__ import annotations

from corpus import QUESTIONS, read_articles, show
from shared_llama_index import index_of
from transformers.utils import logging

from llama_index_attn import AttentionRerank, details

logging.set_verbosity_error()


def main() -> None:
    """Print a table for each question."""
    index = index_of(read_articles(), show_progress=True)
    retriever = index.as_retriever(similarity_top_k=20)
    rerank = AttentionRerank(model="smollm2-135m", top_n=5, add_scores=True, show_progress=True)

    for question in QUESTIONS:
        nodes = rerank.postprocess_nodes(retriever.retrieve(question), query_str=question)
        show(
            question,
            (
                (
                    now,
                    details(found)["rank_before"] + 1,
                    found.score or 0.0,
                    found.metadata["title"],
                    found.text,
                )
                for now, found in enumerate(nodes, start=1)
            ),
        )


if __name__ == "__main__":
    main()
