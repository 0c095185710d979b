"""LangChain: index real articles, retrieve 20 chunks, keep the 5 that the question looks at."""

from __future__ import annotations

from corpus import QUESTIONS, embedding_model, read_articles, show
from langchain_core.documents import Document
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_huggingface import HuggingFaceEmbeddings
from langchain_text_splitters import RecursiveCharacterTextSplitter
from transformers.utils import logging

from langchain_attn import AttentionRerank, AttentionRetriever, details

logging.set_verbosity_error()


def main() -> None:
    """Print a table for each question."""
    documents = [
        Document(article["text"], metadata={"title": article["title"]})
        for article in read_articles()
    ]
    splitter = RecursiveCharacterTextSplitter(chunk_size=900, chunk_overlap=90)
    embeddings = HuggingFaceEmbeddings(model_name=embedding_model(), show_progress=True)
    store = InMemoryVectorStore(embeddings)
    store.add_documents(splitter.split_documents(documents))
    embeddings.show_progress = False  # not for each question

    rerank = AttentionRerank(
        model="smollm2-135m",
        document_template="{title}\n{page_content}",
        add_scores=True,
        show_progress=True,
    )
    retriever = AttentionRetriever(retriever=store.as_retriever(), rerank=rerank, fetch_k=20, k=5)

    for question in QUESTIONS:
        show(
            question,
            (
                (
                    now,
                    details(document)["rank_before"] + 1,
                    document.metadata["relevance_score"],
                    document.metadata["title"],
                    document.page_content,
                )
                for now, document in enumerate(retriever.invoke(question), start=1)
            ),
        )


if __name__ == "__main__":
    main()
