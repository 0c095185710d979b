"""LangChain: ask a corpus in Qdrant; of 500 chunks, 120 tokens are read and cited, or none."""

from __future__ import annotations

from pathlib import Path

from corpus import embedding_model, read_articles
from langchain_core.documents import Document
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_huggingface import HuggingFaceEmbeddings
from langchain_qdrant import QdrantVectorStore
from langchain_text_splitters import RecursiveCharacterTextSplitter
from qdrant_client import QdrantClient
from qdrant_client.models import Distance, VectorParams
from shared_chat import BEST, BUDGET, FETCHED, PROMPT, arguments, show
from shared_langchain import small_chat_model
from transformers.utils import logging

from langchain_attn import AttentionRerank, AttentionRetriever, AttentionWarmer, attribute, cite

logging.set_verbosity_error()


def open_store(rerank: AttentionRerank) -> QdrantVectorStore:
    """The articles in chunks, embedded; what is not yet in the store is read."""
    client = QdrantClient(":memory:")
    client.create_collection("articles", VectorParams(size=384, distance=Distance.COSINE))
    embeddings = HuggingFaceEmbeddings(model_name=embedding_model())
    store = QdrantVectorStore(client, "articles", embeddings)
    articles = [
        Document(each["text"], metadata={"title": each["title"]}) for each in read_articles()
    ]
    splitter = RecursiveCharacterTextSplitter(chunk_size=600, chunk_overlap=0, add_start_index=True)
    read = AttentionWarmer(rerank).transform_documents(splitter.split_documents(articles))
    store.add_documents(list(read), ids=list(range(len(read))))
    return store


def main() -> None:
    """Answer each question from what is found for it, by the model that also ranks."""
    questions, folder = arguments(Path(__file__).stem)
    llm = small_chat_model()
    rerank = AttentionRerank.from_generator(
        llm,
        store=str(folder / "attention"),
        document_template="{title}\n{page_content}",
        max_tokens=BUDGET,
        order="best_last",  # a small model heeds what it read last the most
        on_no_evidence="empty",
        keep_ranking=True,
        show_progress=True,
    )
    found = open_store(rerank).as_retriever()
    retriever = AttentionRetriever(retriever=found, rerank=rerank, fetch_k=FETCHED, k=BEST)
    chain = (
        ChatPromptTemplate.from_template(PROMPT) | llm.bind(skip_prompt=True) | StrOutputParser()
    )
    for question in questions:
        documents, answer = retriever.invoke(question), None
        if documents:
            context = "\n\n".join(document.page_content for document in documents)
            said = chain.invoke({"context": context, "question": question})
            result = {"input": question, "context": documents, "answer": said}
            answer = attribute(result, rerank=rerank)
        if ranking := retriever.last_ranking:
            show(question, ranking, cite(documents), answer)


if __name__ == "__main__":
    main()
