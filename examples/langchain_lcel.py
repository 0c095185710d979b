"""LangChain: a chain in LCEL that answers from 150 tokens, with sources and their offsets."""

from __future__ import annotations

from operator import itemgetter
from typing import Any

from corpus import OPENING_QUESTIONS, show_spans
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable, RunnableLambda, RunnablePassthrough
from shared_langchain import open_retriever, small_chat_model
from transformers.utils import logging

from langchain_attn import AttentionRerank, AttentionRetriever, cite

logging.set_verbosity_error()
PROMPT = ChatPromptTemplate.from_template("{text}\n\nAnswer in one sentence: {question}")


def build_chain() -> Runnable[dict[str, Any], dict[str, Any]]:
    """From `question` to `answer`, with the `documents` that were kept and the `sources` cited."""
    rerank = AttentionRerank(max_tokens=150, document_template="{title}\n{page_content}")
    retriever = AttentionRetriever(retriever=open_retriever(), rerank=rerank, fetch_k=20, k=3)
    llm = small_chat_model().bind(skip_prompt=True)
    cited = itemgetter("documents") | RunnableLambda(cite)
    return (
        RunnablePassthrough.assign(documents=itemgetter("question") | retriever)
        .assign(cited=cited)
        .assign(
            text=lambda found: found["cited"].text,
            sources=lambda found: found["cited"].sources,
        )
        .assign(answer=PROMPT | llm | StrOutputParser())
    )


def main() -> None:
    """Ask, and print the answer, and which places in which articles the model was given."""
    chain = build_chain()
    for question in OPENING_QUESTIONS:
        result = chain.invoke({"question": question})
        print(f"{question}\n{result['answer']}")
        show_spans(
            (source.metadata["title"], source.doc_start, source.doc_end, source.text)
            for source in result["sources"]
        )
        print()


if __name__ == "__main__":
    main()
