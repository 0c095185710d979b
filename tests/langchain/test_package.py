"""The package as a whole."""

from __future__ import annotations

import subprocess
import sys

import langchain_attn

_PROGRAM = """
import sys
from langchain_core.documents import Document
from langchain_attn import AttentionRerank, AttentionRetriever
assert AttentionRerank(fuse=0.5).compress_documents([], "query") == []
heavy = ("torch", "transformers", "tokenizers", "numpy", "llama_index", "llama_index_attn")
print(sorted(name for name in heavy if name in sys.modules))
"""


def test_importing_stays_light() -> None:
    """Importing and constructing brings in no model library and no other framework."""
    run = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "[]"
    assert run.stderr == ""


def test_public_names() -> None:
    """The package exports these names and no others."""
    expected = [
        "AttentionRerank",
        "AttentionRetriever",
        "AttentionWarmer",
        "attribute",
        "cite",
        "details",
        "restore",
    ]
    assert langchain_attn.__all__ == expected
