"""LangChain adapter of attnmass: a compressor and a retriever that rank and trim by attention."""

from langchain_attn.attribution import attribute
from langchain_attn.citations import cite
from langchain_attn.convert import details, restore
from langchain_attn.rerank import AttentionRerank
from langchain_attn.retriever import AttentionRetriever
from langchain_attn.warmer import AttentionWarmer

__all__ = [
    "AttentionRerank",
    "AttentionRetriever",
    "AttentionWarmer",
    "attribute",
    "cite",
    "details",
    "restore",
]
