"""LangChain: 200 tokens of evidence, with numbers to cite, and how much evidence there is."""

from __future__ import annotations

from corpus import TO_TRIM, UNANSWERABLE, embedding_model, read_articles, show_cited
from langchain_core.documents import Document
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_huggingface import HuggingFaceEmbeddings
from langchain_text_splitters import RecursiveCharacterTextSplitter
from transformers.utils import logging

from langchain_attn import AttentionRerank, AttentionRetriever, cite, details

logging.set_verbosity_error()


def main() -> None:
    """Print the cited text that is left for each question."""
    documents = [
        Document(article["text"], metadata={"title": article["title"]})
        for article in read_articles()
    ]
    splitter = RecursiveCharacterTextSplitter(
        chunk_size=900, chunk_overlap=90, add_start_index=True
    )
    embeddings = HuggingFaceEmbeddings(model_name=embedding_model(), show_progress=True)
    store = InMemoryVectorStore(embeddings)
    store.add_documents(splitter.split_documents(documents))
    embeddings.show_progress = False  # not for each question

    rerank = AttentionRerank(
        top_n=None,
        max_tokens=200,
        add_scores=True,
        document_template="{title}\n{page_content}",
        reader_template="{title}\n{page_content}",
        show_progress=True,
    )
    retriever = AttentionRetriever(retriever=store.as_retriever(), rerank=rerank, fetch_k=20)

    for question in (*TO_TRIM, UNANSWERABLE):
        found = retriever.invoke(question)
        cited = cite(found)
        places = [(s.number, s.metadata["title"], s.doc_start, s.doc_end) for s in cited.sources]
        show_cited(question, cited.text, places, details(found[0])["evidence"])


if __name__ == "__main__":
    main()
