"""What the LangChain examples share: a store of articles, and chat models that need no network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from corpus import embedding_model, read_openings, text_generator
from langchain_core.documents import Document
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from langchain_core.vectorstores import InMemoryVectorStore, VectorStoreRetriever
from langchain_huggingface import ChatHuggingFace, HuggingFaceEmbeddings, HuggingFacePipeline
from langchain_text_splitters import RecursiveCharacterTextSplitter


def open_retriever() -> VectorStoreRetriever:
    """Finds 20 chunks from the beginnings of articles, with their title and place."""
    documents = [
        Document(each["text"], metadata={"title": each["title"]}) for each in read_openings()
    ]
    splitter = RecursiveCharacterTextSplitter(
        chunk_size=900, chunk_overlap=90, add_start_index=True
    )
    store = InMemoryVectorStore(HuggingFaceEmbeddings(model_name=embedding_model()))
    store.add_documents(splitter.split_documents(documents))
    return store.as_retriever(search_kwargs={"k": 20})


def small_chat_model() -> ChatHuggingFace:
    """The small model, in this process."""
    pipe = text_generator()
    return ChatHuggingFace(llm=HuggingFacePipeline(pipeline=pipe), tokenizer=pipe.tokenizer)


class ScriptedChat(BaseChatModel):
    """Calls the first tool with what was asked, then repeats what that found."""

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        **options: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """The same, with tools to call."""
        names = [tool.name for tool in tools if isinstance(tool, BaseTool)]
        return self.bind(names=names)

    def _generate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **options: Any
    ) -> ChatResult:
        last, names = messages[-1], options.get("names", [])
        if isinstance(last, HumanMessage) and names:
            call = {"name": names[0], "args": {"query": last.text}, "id": "1"}
            message = AIMessage("", tool_calls=[call])
        else:
            message = AIMessage(f"I read: {last.text}")
        return ChatResult(generations=[ChatGeneration(message=message)])
