"""Requests that the documentation of the routes shows, and that a test sends."""

from __future__ import annotations

from typing import Any

_QUERY = "Where was Albert Einstein born?"
_TEXTS = [
    "Trains to Munich leave every hour.",
    "Albert Einstein was born in Ulm. He liked to sail.",
]
_RERANK = {"model": "any", "query": _QUERY, "documents": _TEXTS, "top_n": 1}

# By route and by a word for what the request is.
EXAMPLES: dict[str, dict[str, Any]] = {
    "/rerank": {
        "cohere": _RERANK,
        "tei": {"query": _QUERY, "texts": _TEXTS, "return_text": True},
    },
    "/v1/rerank": {"jina": {**_RERANK, "return_documents": True}},
    "/v2/rerank": {"cohere": _RERANK},
    "/infinity/rerank": {"infinity": {**_RERANK, "return_documents": True}},
    "/v1/reranking": {
        "mixedbread": {"query": _QUERY, "input": _TEXTS, "top_k": 1, "return_input": True}
    },
    "/reranking": {"mixedbread": {"query": _QUERY, "input": _TEXTS}},
    "/v1/ranking": {
        "nvidia": {"query": {"text": _QUERY}, "passages": [{"text": text} for text in _TEXTS]}
    },
    "/v1/retrieval/{rest:path}/reranking": {
        "nvidia": {"query": {"text": _QUERY}, "passages": [{"text": text} for text in _TEXTS]}
    },
    "/score": {"vllm": {"text_1": _QUERY, "text_2": _TEXTS}},
    "/v1/score": {"vllm": {"queries": [_QUERY, _QUERY], "documents": _TEXTS}},
    "/v1/trim": {
        "budget": {
            "query": _QUERY,
            "documents": [{"id": "einstein", "title": "Albert Einstein", "text": _TEXTS[1]}],
            "max_tokens": 60,
            "citations": True,
        }
    },
    "/v1/attribute": {
        "answer": {"query": _QUERY, "documents": _TEXTS, "answer": "He was born in Ulm."}
    },
    "/v1/warm": {"texts": {"documents": _TEXTS}},
    "/v1/spans": {"queries": {"queries": [_QUERY], "documents": _TEXTS}},
    "/v1/explain": {"page": {"query": _QUERY, "documents": _TEXTS}},
}
