"""What the LlamaIndex examples share: an index of articles, and a small LLM in this process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from corpus import embedding_model, read_articles, read_openings, text_generator
from llama_index.core import Document, VectorStoreIndex
from llama_index.core.base.llms import types
from llama_index.core.base.llms.types import ChatMessage, CompletionResponse
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.llms.custom import CustomLLM
from llama_index.core.node_parser import SentenceSplitter
from llama_index.embeddings.huggingface import HuggingFaceEmbedding


def index_of(
    articles: Sequence[dict[str, str]],
    *,
    chunk_size: int = 200,
    overlap: int = 20,
    show_progress: bool = False,
) -> VectorStoreIndex:
    """Articles in chunks, with their title and place."""
    return VectorStoreIndex.from_documents(
        [Document(text=each["text"], metadata={"title": each["title"]}) for each in articles],
        transformations=[SentenceSplitter(chunk_size=chunk_size, chunk_overlap=overlap)],
        embed_model=HuggingFaceEmbedding(model_name=embedding_model()),
        show_progress=show_progress,
    )


def open_index() -> VectorStoreIndex:
    """The beginnings of articles."""
    return index_of(read_openings())


def open_whole_index() -> VectorStoreIndex:
    """Whole articles, in smaller chunks."""
    return index_of(read_articles(), chunk_size=128, overlap=0)


class SmallLLM(CustomLLM):
    """The small model."""

    _generator: Any = PrivateAttr()

    def __init__(self, generator: Any = None) -> None:
        """Load it, unless it is given."""
        generator = text_generator() if generator is None else generator
        super().__init__(
            messages_to_prompt=lambda messages: _prompt(generator, messages),
            completion_to_prompt=lambda text: _prompt(generator, [ChatMessage(text)]),
        )
        self._generator = generator

    @property
    def metadata(self) -> types.LLMMetadata:
        """Its limits."""
        return types.LLMMetadata(context_window=2048, num_output=60, model_name="smollm2-135m")

    def complete(self, prompt: str, formatted: bool = False, **options: Any) -> CompletionResponse:
        """Write what is most likely."""
        if not formatted:
            prompt = _prompt(self._generator, [ChatMessage(prompt)])
        (found,) = self._generator(prompt, return_full_text=False)
        return CompletionResponse(text=found["generated_text"].strip())

    def stream_complete(self, *arguments: Any, **options: Any) -> types.CompletionResponseGen:
        """All at once."""
        yield self.complete(*arguments, **options)


def _prompt(generator: Any, messages: Sequence[ChatMessage]) -> str:
    turns = [{"role": each.role.value, "content": each.content} for each in messages]
    tokenizer = generator.tokenizer
    return str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))
