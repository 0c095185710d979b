"""LlamaIndex components that rerank and trim by the attention a query pays inside a local model."""

from llama_index_attn.attribution import attribute
from llama_index_attn.citations import cite
from llama_index_attn.convert import details, restore
from llama_index_attn.events import AttentionTrimEvent
from llama_index_attn.rerank import AttentionRerank
from llama_index_attn.retriever import AttentionRetriever
from llama_index_attn.warmer import AttentionWarmer

__all__ = [
    "AttentionRerank",
    "AttentionRetriever",
    "AttentionTrimEvent",
    "AttentionWarmer",
    "attribute",
    "cite",
    "details",
    "restore",
]
