"""LangChain: a server in place of Cohere, by LangChain's integration, with trimming by ours."""

from __future__ import annotations

from corpus import QUESTIONS, show, show_spans
from langchain_classic.retrievers import ContextualCompressionRetriever
from langchain_cohere import CohereRerank
from pydantic import SecretStr
from shared_langchain import open_retriever
from shared_server import served
from transformers.utils import logging

from langchain_attn import AttentionRerank, cite

logging.set_verbosity_error()


def main() -> None:
    """Print a question's best chunks, then the sentences in them that matter."""
    retriever = open_retriever()
    question = QUESTIONS[0]
    with served() as url:
        theirs = CohereRerank(
            base_url=url, cohere_api_key=SecretStr("none"), model="smollm2-135m", top_n=5
        )
        found = retriever.invoke(question)
        before = {each.page_content: place for place, each in enumerate(found, start=1)}
        compressed = ContextualCompressionRetriever(
            base_compressor=theirs, base_retriever=retriever
        )
        show(
            question,
            (
                (
                    now,
                    before[each.page_content],
                    each.metadata["relevance_score"],
                    each.metadata["title"],
                    each.page_content,
                )
                for now, each in enumerate(compressed.invoke(question), start=1)
            ),
        )
        ours = AttentionRerank(model=url, max_tokens=120, timeout=600)
        cited = cite(ours.compress_documents(found, question))
        show_spans(
            (source.metadata["title"], source.doc_start, source.doc_end, source.text)
            for source in cited.sources
        )


if __name__ == "__main__":
    main()
