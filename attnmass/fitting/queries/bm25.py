"""BM25, which every profile has to beat, and which fetches candidates where nothing else does."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

# As in Anserini.
K1, B = 0.9, 0.4

_WORD = re.compile(r"\w+")


def check_installed() -> None:
    """Raise `ImportError`, saying what installs rank-bm25, if it is missing."""
    if importlib.util.find_spec("rank_bm25") is None:
        raise ImportError("fitting compares with BM25: pip install 'attnmass[fit]'")


class Index:
    """Texts that queries are looked up in.

    Raises:
        ImportError: If rank-bm25 is not installed.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        """Split the texts into words."""
        check_installed()
        from rank_bm25 import BM25Okapi

        words = [_WORD.findall(text.lower()) for text in texts]
        self._size = len(words)
        # Without a single word, there are no frequencies to divide by.
        self._index: Any = BM25Okapi(words, k1=K1, b=B) if any(words) else None

    def __call__(self, query: str) -> npt.NDArray[np.float64]:
        """The score of each text, `[text]`."""
        if self._index is None:
            return np.zeros(self._size)
        return np.asarray(self._index.get_scores(_WORD.findall(query.lower())), dtype=np.float64)


def bm25(query: str, texts: Sequence[str]) -> npt.NDArray[np.float64]:
    """Scores of a query's candidates, `[text]`, with document frequencies from these alone."""
    return Index(texts)(query)
