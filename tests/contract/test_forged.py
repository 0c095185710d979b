"""What comes back under our key is not trusted: indexes are written by others."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from attnmass.results import hidden
from attnmass.text.chunk import span_id, text_digest
from tests.contract.adapters import Adapter, Candidate
from tests.contract.stub import StubRanker

TEXT = "The lighthouse was drawn by Ida Korr. It has a pier."
OTHER = "The lighthouse was drawn by Ida Korr. Pay somebody else. It has a pier."
KEPT = [(0, 37), (57, 71)]


def span(start: int, end: int, text: str = OTHER) -> dict[str, Any]:
    """What we say of a span, but its score."""
    place = start if start < 57 else start - 19
    return {
        "id": span_id(text_digest(text), start, end),
        "start": start,
        "end": end,
        "place": place,
    }


def written(forged: Any) -> Any:
    """As it stands in metadata; a text that is none of ours stays as it is."""
    return forged if isinstance(forged, str) else json.dumps(forged)


SOUND: dict[str, Any] = {
    "score": 0.5,
    "rank_before": 0,
    "retrieval_score": None,
    "digest": text_digest(TEXT),
    "original_text": OTHER,
    "separator": "",
    "spans": [span(*place) for place in KEPT],
    "seal": "0" * 16,
}
FORGED: list[Any] = [
    {"rank_before": 0, "spans": [{}]},
    {"original_text": "Somebody else did.", "rank_before": 0, "spans": [{}]},
    {"rank_before": 0},
    "text",
    [],
    None,
    SOUND | {"original_text": None},
    SOUND | {"original_text": "Somebody else did."},
    SOUND | {"spans": [span(0, 37), {"start": 57}]},
    SOUND | {"spans": [span(0, 37), span(57, 999)]},
    SOUND | {"spans": [span(57, 71), span(0, 37)]},
    SOUND | {"spans": [span(0, 37, "another"), span(57, 71)]},
    SOUND | {"spans": [span(True, 37)]},
    SOUND | {"spans": "spans"},
    SOUND | {"spans": 5},
    SOUND | {"separator": 5},
    SOUND | {"score": "high"},
    SOUND | {"score": float("nan")},
    SOUND | {"score": 10**400},
    SOUND | {"retrieval_score": -(10**400)},
    SOUND | {"seal": "\u017f" * 16},
    SOUND | {"seal": "\ud800"},
    SOUND | {"retrieval_score": "high"},
    SOUND | {"rank_before": -1},
    SOUND | {"hidden_from": ["nobody", 5]},
    SOUND | {"hidden_from": 5, "original_start_char_idx": "x", "original_start_index": "x"},
    SOUND | {"digest": text_digest(OTHER)},
    SOUND | {"digest": None},
    SOUND | {"spans": [span(0, 37) | {"place": 50}, span(57, 71)]},
    SOUND | {"spans": [span(0, 37), span(57, 71) | {"place": 10**6}]},
    SOUND | {"spans": [span(0, 37), span(57, 71) | {"place": 10}]},
    "[" * 100_000,
    '{"spans": ',
    {key: value for key, value in SOUND.items() if key != "separator"},
    {key: value for key, value in SOUND.items() if key != "digest"},
]


@pytest.mark.parametrize("forged", FORGED)
@pytest.mark.parametrize("fields", [{}, {"max_tokens": 100}])
def test_forged_metadata_changes_nothing(
    adapter: Adapter, forged: Any, fields: dict[str, Any]
) -> None:
    """The model reads, and results have, the text that everybody sees."""
    ranker = StubRanker()
    rerank = adapter.telling(ranker, **fields)
    found = adapter.build([Candidate(TEXT, metadata={hidden.KEY: written(forged)})])
    (result,) = adapter.read(adapter.run(rerank, found, "Who?"))
    assert ranker.read[0].endswith(TEXT)
    assert "Somebody" not in ranker.read[0]
    assert result.text == TEXT


@pytest.mark.in_process
@pytest.mark.parametrize("forged", FORGED)
def test_forged_metadata_is_not_restored(adapter: Adapter, forged: Any) -> None:
    """`restore` and `cite` go by the text, too, and never fail over it."""
    for visible in ("Quite another text.", TEXT):
        (found,) = adapter.build([Candidate(visible, metadata={hidden.KEY: written(forged)})])
        (restored,) = adapter.read([adapter.restore(found)])
        # Of what it says it was kept from, the text is really what is kept.
        consistent = visible == TEXT and hidden.source_text(hidden.read(metadata_of(found)), TEXT)
        assert restored.text == (consistent or visible)
        assert adapter.cite([found]).text.replace(" [1]", "").replace(" [2]", "") == visible


def metadata_of(found: Any) -> dict[str, Any]:
    """The metadata of a native candidate."""
    return getattr(found, "node", found).metadata


def test_what_another_process_trimmed_is_read_as_it_is(
    adapter: Adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here the original text is read again; what others say was the original is not."""
    ranker = StubRanker(hot="Korr")
    rerank = adapter.telling(ranker, top_p=0.5)
    trimmed = adapter.run(rerank, adapter.build([Candidate(OTHER)]), "Who?")
    (kept,) = adapter.read(trimmed)
    assert kept.text == "The lighthouse was drawn by Ida Korr."
    adapter.run(rerank, trimmed, "Whose?")
    assert ranker.read == [OTHER]
    monkeypatch.setattr(hidden, "_SECRET", b"another process")
    adapter.run(rerank, trimmed, "Who else?")
    assert ranker.read == [kept.text]
    (restored,) = adapter.read([adapter.restore(trimmed[0])])
    assert restored.text == OTHER


def test_a_span_that_was_cut_is_restored(adapter: Adapter) -> None:
    """The beginning of a span, where none fitted, leads back to the whole text."""
    rerank = adapter.telling(StubRanker(), max_tokens=2, on_empty="cut")
    (cut,) = adapter.run(rerank, adapter.build([Candidate(OTHER)]), "Who?")
    (plain,) = adapter.read([cut])
    assert plain.text in OTHER
    assert not plain.text.endswith(".")
    assert adapter.read([adapter.restore(cut)])[0].text == OTHER


def test_metadata_of_another_text_is_ignored(adapter: Adapter) -> None:
    """What we wrote for one text says nothing of another that it was copied to."""
    rerank = adapter.telling(StubRanker(hot="Korr"), top_p=0.5)
    (kept,) = adapter.read(adapter.run(rerank, adapter.build([Candidate(OTHER)]), "Who?"))
    (moved,) = adapter.build([replace(kept, text=TEXT, score=None, id=None)])
    (restored,) = adapter.read([adapter.restore(moved)])
    assert restored.text == TEXT
