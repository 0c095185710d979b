"""LlamaIndex: 200 tokens of evidence, with numbers to cite, and how much evidence there is."""

from __future__ import annotations

from corpus import TO_TRIM, UNANSWERABLE, embedding_model, read_articles, show_cited
from llama_index.core import Document, VectorStoreIndex
from llama_index.core.node_parser import SentenceSplitter
from llama_index.embeddings.huggingface import HuggingFaceEmbedding
from transformers.utils import logging

from llama_index_attn import AttentionRerank, AttentionRetriever, cite, details

logging.set_verbosity_error()


def main() -> None:
    """Print the cited text that is left for each question."""
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
    rerank = AttentionRerank(top_n=None, max_tokens=200, add_scores=True, show_progress=True)
    retriever = AttentionRetriever(index.as_retriever(), rerank=rerank, fetch_k=20)

    for question in (*TO_TRIM, UNANSWERABLE):
        nodes = retriever.retrieve(question)
        cited = cite(nodes)
        places = [(s.number, s.metadata["title"], s.doc_start, s.doc_end) for s in cited.sources]
        show_cited(question, cited.text, places, details(nodes[0])["evidence"])


if __name__ == "__main__":
    main()
