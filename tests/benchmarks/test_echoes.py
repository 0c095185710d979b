"""Chunks that repeat a question, as they are made and counted."""

from __future__ import annotations

from benchmarks.echoes import ALONE, FUSED, KINDS, repeats, table


def test_forms() -> None:
    """Each says the question, word for word or nearly."""
    exact, (announced, longer, shorter) = repeats("Who wrote the old play?")
    assert len(exact) == 4
    assert all("who wrote the old play" in text.lower() for text in exact)
    assert announced == "Does anybody here know Who wrote the old play?"
    assert longer.replace("really ", "") == "Who wrote the old play?"
    assert len(shorter.split()) == 4
    assert shorter.endswith("?")
    assert len(repeats("Who wrote it?")[1]) == 2  # what is left of three words is no question


def test_table() -> None:
    """A row for each kind, attention alone beside both."""
    rows = [
        {"kind": kind, "way": way, "tried": 4, "above the answer": 1, "evidence": fused}
        for kind in KINDS
        for fused, way in enumerate((ALONE, FUSED))
    ]
    lines = table({"nq": {"queries": 3, "rows": rows}}).splitlines()
    assert lines[2] == "| 3 of nq | word for word | 4 | 1 | 0 | 1 | 1 |"
    assert lines[3] == "| 3 of nq | nearly | 4 | 1 | 0 | 1 | 1 |"
