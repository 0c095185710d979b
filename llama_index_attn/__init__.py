"""LlamaIndex components that rerank by the attention a query pays inside a local transformer."""

from llama_index_attn.rerank import AttentionRerank
from llama_index_attn.retriever import AttentionRetriever
from llama_index_attn.warmer import AttentionWarmer

__all__ = ["AttentionRerank", "AttentionRetriever", "AttentionWarmer"]
