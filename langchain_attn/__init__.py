"""LangChain adapter of attnmass: a document compressor and a retriever that rank by attention."""

from langchain_attn.rerank import AttentionRerank
from langchain_attn.retriever import AttentionRetriever
from langchain_attn.warmer import AttentionWarmer

__all__ = ["AttentionRerank", "AttentionRetriever", "AttentionWarmer"]
