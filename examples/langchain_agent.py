"""LangChain: an agent whose tool looks things up and returns 120 tokens of evidence."""

from __future__ import annotations

from corpus import OPENING_QUESTIONS, show_spans
from langchain.agents import create_agent
from langchain_classic.retrievers import ContextualCompressionRetriever
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.prompts import PromptTemplate
from langchain_core.tools import create_retriever_tool
from shared_langchain import ScriptedChat, open_retriever
from transformers.utils import logging

from langchain_attn import AttentionRerank, cite

logging.set_verbosity_error()
TEMPLATE = "{title}\n{page_content}"


def main() -> None:
    """Ask, and print the tool's calls, where their text comes from, and the agent's answer."""
    rerank = AttentionRerank(
        top_n=3, max_tokens=120, document_template=TEMPLATE, reader_template=TEMPLATE
    )
    retriever = ContextualCompressionRetriever(
        base_compressor=rerank, base_retriever=open_retriever()
    )
    tool = create_retriever_tool(
        retriever,
        "look_up",
        "Finds what the articles say about a question.",
        document_prompt=PromptTemplate.from_template(TEMPLATE),
        response_format="content_and_artifact",  # so that documents come with the text
    )
    agent = create_agent(ScriptedChat(), [tool])
    for question in OPENING_QUESTIONS:
        print(question)
        result = agent.invoke({"messages": [HumanMessage(question)]})
        for message in result["messages"]:
            if isinstance(message, AIMessage):
                for call in message.tool_calls:
                    print(f"  {call['name']}({call['args']})")
            if isinstance(message, ToolMessage):
                sources = cite(message.artifact).sources
                show_spans((s.metadata["title"], s.doc_start, s.doc_end, s.text) for s in sources)
        print(f"{result['messages'][-1].text}\n")


if __name__ == "__main__":
    main()
