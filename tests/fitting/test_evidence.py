"""Queries with their evidence taken away, and the rule that tells."""

from __future__ import annotations

import numpy as np
import pytest

from attnmass.fitting.captures.store import Capture
from attnmass.fitting.evidence.evidence import fit_evidence, variants
from attnmass.fitting.queries.items import LabelledChunk, LabelledQuery
from attnmass.profiles import EvidenceRule


def some_query(number: int, n_chunks: int = 8) -> LabelledQuery:
    """A query whose first and third chunk are relevant."""
    chunks = tuple(
        LabelledChunk(f"text {i} of query {number}", float(i in (0, 2)), str(i))
        for i in range(n_chunks)
    )
    return LabelledQuery(f"query {number}?", chunks, f"q{number}", "here")


def test_variants() -> None:
    """Each query comes whole and halved; what is relevant goes, and what comes is another's."""
    queries = [some_query(number) for number in range(6)]
    found = variants(queries)
    assert [one.number for one in found] == [n for n in range(6) for _ in range(2)]
    assert [len(one.present.chunks) for one in found] == [8, 4] * 6
    for one in found:
        own = {chunk.text for chunk in queries[one.number].chunks}
        assert sum(one.present.relevant) == 2
        assert sum(one.absent.relevant) == 0
        pairs = zip(one.present.chunks, one.absent.chunks, strict=True)
        for before, after in pairs:
            assert (after == before) is (not before.relevant)
            assert before.text in own
            assert (after.text in own) is (not before.relevant)
        assert len({chunk.text for chunk in one.absent.chunks}) == len(one.absent.chunks)
    assert found == variants(queries)


def test_no_variants_without_other_texts() -> None:
    """Where all queries have the same chunks, nothing can be put in."""
    assert variants([some_query(0), some_query(0)]) == []


def captures(shift: float, n: int = 80, seed: int = 0) -> list[Capture]:
    """Masses of 5 to 10 chunks of which one gets `shift` more, in the logarithm."""
    draw = np.random.default_rng(seed)
    found = []
    for _ in range(n):
        count = int(draw.integers(5, 11))
        masses = np.exp(draw.normal(-5, 0.4, count))
        masses[0] *= np.exp(shift)
        found.append(Capture(masses[None], draw.integers(40, 200, count).astype(np.float32)))
    return found


def test_evidence_is_told() -> None:
    """Where the best chunk stands out, the rule tells, and the threshold keeps what it promises."""
    folds = np.arange(80) % 5
    present, absent = captures(3.0), captures(0.0, seed=1)
    found = fit_evidence(present, absent, range(80), folds)
    assert found.auc > 0.95
    threshold = found.rule.threshold
    assert threshold is not None

    def passing(some: list[Capture]) -> float:
        values = [
            found.rule(one.masses[0].tolist(), one.n_tokens.astype(int).tolist()) for one in some
        ]
        return float(np.mean([value >= threshold for value in values]))

    assert passing(captures(3.0, seed=2)) == pytest.approx(0.95, abs=0.05)
    assert passing(captures(0.0, seed=3)) < 0.3
    assert found.let_through == pytest.approx(passing(absent), abs=0.1)


def test_no_threshold_where_nothing_tells() -> None:
    """Where evidence looks like its absence, there is no threshold, and the rule is the default."""
    found = fit_evidence(captures(0.0), captures(0.0, seed=1), range(80), np.arange(80) % 5)
    assert found.rule == EvidenceRule()
    assert found.let_through is None
    assert found.auc < 0.6
