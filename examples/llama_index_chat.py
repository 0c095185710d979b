"""LlamaIndex: ask a corpus in Qdrant; of 500 chunks, 120 tokens are read and cited, or none."""

from __future__ import annotations

from pathlib import Path

from corpus import embedding_model, read_articles, text_generator
from llama_index.core import Document, PromptTemplate, VectorStoreIndex
from llama_index.core.node_parser import SentenceSplitter
from llama_index.embeddings.huggingface import HuggingFaceEmbedding
from llama_index.vector_stores.qdrant import QdrantVectorStore
from qdrant_client import QdrantClient
from shared_chat import BEST, BUDGET, FETCHED, PROMPT, arguments, show
from shared_llama_index import SmallLLM
from transformers.utils import logging

from llama_index_attn import AttentionRerank, AttentionWarmer, attribute, cite

logging.set_verbosity_error()
TEMPLATE = PromptTemplate(
    PROMPT, template_var_mappings={"context_str": "context", "query_str": "question"}
)


def open_index(rerank: AttentionRerank) -> VectorStoreIndex:
    """The articles in chunks, embedded; what is not yet in the store is read."""
    articles = [
        Document(text=each["text"], metadata={"title": each["title"]}) for each in read_articles()
    ]
    nodes = SentenceSplitter(chunk_size=128, chunk_overlap=0).get_nodes_from_documents(articles)
    index = VectorStoreIndex.from_vector_store(
        # In-process Qdrant has no payload index, and warns when it is asked for one.
        QdrantVectorStore("articles", client=QdrantClient(":memory:"), index_doc_id=False),
        embed_model=HuggingFaceEmbedding(model_name=embedding_model()),
    )
    index.insert_nodes(AttentionWarmer(rerank=rerank)(nodes))
    return index


def main() -> None:
    """Answer each question from what is found for it, by the model that also ranks."""
    questions, folder = arguments(Path(__file__).stem)
    generator = text_generator()
    rerank = AttentionRerank.from_generator(
        generator,
        store=str(folder / "attention"),
        top_n=BEST,
        max_tokens=BUDGET,
        order="best_last",  # a small model heeds what it read last the most
        on_no_evidence="empty",
        keep_ranking=True,
        show_progress=True,
    )
    engine = open_index(rerank).as_query_engine(
        llm=SmallLLM(generator),
        similarity_top_k=FETCHED,
        node_postprocessors=[rerank],
        text_qa_template=TEMPLATE,
    )
    for question in questions:
        response = engine.query(question)
        nodes = response.source_nodes
        answer = attribute(response, question, rerank=rerank) if nodes else None
        if rerank.last_ranking:
            show(question, rerank.last_ranking, cite(nodes), answer)


if __name__ == "__main__":
    main()
