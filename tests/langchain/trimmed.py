"""What the tests of trimmed documents trim by."""

from __future__ import annotations

from typing import Any

from langchain_core.documents import Document

from langchain_attn import AttentionRerank
from tests.contract.one_text import keeping
from tests.langchain.support import QUERY


def make(**fields: Any) -> AttentionRerank:
    """A compressor that keeps the sentences about theories."""
    made: AttentionRerank = keeping(AttentionRerank, **fields)
    return made


def trim(document: Document, **fields: Any) -> Document:
    """One document, trimmed."""
    [result] = make(**fields).compress_documents([document], QUERY)
    return result
