"""LlamaIndex: index real articles, retrieve 20 chunks, keep the 5 that the question looks at."""

from __future__ import annotations

from corpus import QUESTIONS, embedding_model, read_articles, show
from llama_index.core import Document, VectorStoreIndex
from llama_index.core.node_parser import SentenceSplitter
from llama_index.embeddings.huggingface import HuggingFaceEmbedding
from transformers.utils import logging

from llama_index_attn import AttentionRerank, details

logging.set_verbosity_error()


def main() -> None:
    """Print a table for each question."""
    documents = [
        Document(text=article["text"], metadata={"title": article["title"]})
        for article in read_articles()
    ]
    index = VectorStoreIndex.from_documents(
        documents,
        transformations=[SentenceSplitter(chunk_size=200, chunk_overlap=20)],
        embed_model=HuggingFaceEmbedding(model_name=embedding_model()),
        show_progress=True,
    )
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
