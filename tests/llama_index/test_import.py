"""What importing the adapter brings in."""

from __future__ import annotations

import subprocess
import sys

import llama_index_attn

HEAVY = ("torch", "transformers", "sentence_transformers", "langchain_core", "langchain_attn")


def test_importing_stays_light() -> None:
    """Neither importing the adapter nor building its parts brings in torch or another framework."""
    code = (
        "import sys, llama_index_attn\n"
        "rerank = llama_index_attn.AttentionRerank(top_n=3)\n"
        "llama_index_attn.AttentionRerank.from_dict(rerank.to_dict()).postprocess_nodes([])\n"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_public_names() -> None:
    """The package exports these names, sorted."""
    assert llama_index_attn.__all__ == [
        "AttentionRerank",
        "AttentionRetriever",
        "AttentionTrimEvent",
        "AttentionWarmer",
        "attribute",
        "cite",
        "details",
        "restore",
    ]
