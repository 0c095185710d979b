"""What both adapters promise of evidence, trimmed or not."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

import attnmass
from tests.contract.adapters import Adapter
from tests.contract.candidates import QUERY
from tests.contract.theories import CANDIDATES, TEXTS, stub


@pytest.mark.parametrize("trim", [{}, {"max_tokens": 40}], ids=["rerank", "trim"])
class TestEvidence:
    """How much the query's attention found."""

    def test_it_is_told(self, adapter: Adapter, trim: dict[str, Any]) -> None:
        """Evidence of the whole ranking is in the metadata of each result."""
        ranker = stub()
        rerank = adapter.telling(ranker, evidence_threshold=0.9, **trim)
        result = adapter.read(adapter.run(rerank, adapter.build(CANDIDATES), QUERY))
        expected = ranker.rank(QUERY, [attnmass.Chunk(text) for text in TEXTS]).evidence
        assert 0 < expected < 0.9
        assert [item.hidden["evidence"] for item in result] == pytest.approx(
            [expected] * len(result)
        )
        assert all(item.hidden["no_evidence"] is True for item in result)
        rerank.evidence_threshold = 0.0
        result = adapter.read(adapter.run(rerank, adapter.build(CANDIDATES), QUERY))
        assert all(item.hidden["no_evidence"] is False for item in result)

    def test_empty(self, adapter: Adapter, trim: dict[str, Any]) -> None:
        """`empty` returns nothing where there is none, and everything as ever where there is."""
        rerank = adapter.telling(stub(), evidence_threshold=0.9, on_no_evidence="empty", **trim)
        assert adapter.run(rerank, adapter.build(CANDIDATES), QUERY) == []
        rerank.evidence_threshold = 0.001
        assert adapter.run(rerank, adapter.build(CANDIDATES), QUERY)

    @pytest.mark.parametrize("on_error", ["raise", "passthrough"])
    async def test_raise(self, adapter: Adapter, trim: dict[str, Any], on_error: str) -> None:
        """`raise` is an answer that was asked for: it is raised whatever `on_error` says."""
        rerank = adapter.telling(
            stub(), evidence_threshold=0.9, on_no_evidence="raise", on_error=on_error, **trim
        )
        found = adapter.build(CANDIDATES)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(attnmass.NoEvidenceError, match="no evidence for") as caught:
                adapter.run(rerank, found, QUERY)
            with pytest.raises(attnmass.NoEvidenceError):
                await adapter.arun(rerank, found, QUERY)
        assert len(caught.value.ranking.dropped) == len(TEXTS)
