"""Answers of a server that do not fit what was sent are its errors, and no results."""

from __future__ import annotations

from typing import Any

import pytest

from attnmass import RemoteRanker, ServerError
from tests.client.asked import QUERY
from tests.client.scripted import Answer, scripted

RANKER = {
    "ranker": "0",
    "profile": {"model": "m", "layout": "parallel", "heads": [[0, 0]], "weights": [1.0]},
    "options": {"layout": "parallel", "rank_by": "attention", "reading": None},
}
SAID: dict[str, Any] = {
    "evidence": 0.5,
    "no_evidence": False,
    "threshold": None,
    "notes": [],
    "stability": None,
    "timings": {"tokenize": 0.0, "encode": 0.0, "query": 0.0, "total": 0.0, "trim": 0.0},
    "chunks": [
        {
            **{"index": 0, "score": 0.5, "n_tokens": 2, "n_windows": 1, "mass": 0.5, "share": 0.5},
            **{"relevance": None, "logit": None, "skipped": None},
        }
    ],
    "spans": [
        {
            **{"index": 0, "segments": [[0, 5, "sentence", []]], "scores": [0.5], "masses": [0.5]},
            **{"relevances": None, "bound": None, "leans": None},
        }
    ],
    "query_offsets": None,
    "traces": None,
}
SPANS, FIRST = SAID["spans"][0], SAID["chunks"][0]


@pytest.mark.parametrize(
    "body",
    [
        b"not JSON",
        {},
        {"ranker": "0", "rankings": []},
        {"ranker": "0", "rankings": [SAID | {"evidence": "much"}]},
        b'{"ranker": "0", "rankings": [{"evidence": NaN}]}',
        {"ranker": "0", "rankings": [SAID | {"chunks": []}]},
        {"ranker": "0", "rankings": [SAID | {"chunks": [FIRST | {"index": 1}]}]},
        {"ranker": "0", "rankings": [SAID | {"timings": {"tokenize": 0.0}}]},
        {"ranker": "0", "rankings": [SAID | {"spans": [SPANS | {"index": 7}]}]},
        {"ranker": "0", "rankings": [SAID | {"spans": [SPANS | {"scores": []}]}]},
        {"ranker": "0", "rankings": [SAID | {"spans": [SPANS | {"relevances": []}]}]},
        {
            "ranker": "0",
            "rankings": [SAID | {"spans": [SPANS | {"segments": [[0, 99, "sentence", []]]}]}],
        },
        {
            "ranker": "0",
            "rankings": [SAID | {"spans": [SPANS | {"segments": [[0, 5, "sentence", [0]]]}]}],
        },
        {
            "ranker": "0",
            "rankings": [SAID | {"traces": [], "query_offsets": {"dtype": "<f4", "shape": [1]}}],
        },
    ],
    ids=range(14),
)
def test_answers_that_cannot_be(body: Any) -> None:
    """Whatever a server says that does not fit what was sent is its error, and no result."""
    with scripted(Answer(body=RANKER), Answer(body=body)) as server:
        remote = RemoteRanker(server.url)
        with pytest.raises(ServerError, match="cannot read"):
            remote.trim(QUERY, ["a b c"], keep_ratio=1.0)
        remote.close()


def test_an_answer_that_can_be() -> None:
    """What the others were made of is one; what a later server adds is left aside."""
    body = {"ranker": "0", "rankings": [SAID | {"more": 1}], "more": 2}
    with scripted(Answer(body=RANKER), Answer(body=body)) as server:
        remote = RemoteRanker(server.url)
        found = remote.trim(QUERY, ["a b c"], keep_ratio=1.0, tokenizer=str.split)
        assert [chunk.text for chunk in found.chunks] == ["a b c"]
        remote.close()
