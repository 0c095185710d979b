"""What a server's ranker refuses, and errors that are those of one in the process."""

from __future__ import annotations

from typing import Any

import pytest

from attnmass import (
    AttentionRanker,
    NoEvidenceError,
    RemoteRanker,
    ServerError,
    Trim,
    UnsupportedModelError,
)
from tests.client.asked import CHUNKS, QUERY, same
from tests.contract.wire import served


def test_no_evidence_is_raised(remote: RemoteRanker, ranker: AttentionRanker) -> None:
    """The error has the ranking, as one that is raised in here."""
    options: dict[str, Any] = {"evidence_threshold": 1.0, "on_no_evidence": "raise"}
    with pytest.raises(NoEvidenceError) as expected:
        ranker.rank(QUERY, CHUNKS, **options)
    with pytest.raises(NoEvidenceError) as found:
        remote.rank(QUERY, CHUNKS, **options)
    assert str(found.value) == str(expected.value)
    same(found.value.ranking, expected.value.ranking)
    assert remote.rank(QUERY, CHUNKS, trim=Trim(dry_run=True), **options).no_evidence


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda r: r.rank(" ", CHUNKS), ValueError, "blank"),
        (lambda r: r.rank(5, CHUNKS), TypeError, "must be a string"),
        (lambda r: r.rank(QUERY, "text"), TypeError, "sequence of texts"),
        (lambda r: r.rank(QUERY, CHUNKS, top_k=3), TypeError, "top_k"),
        (lambda r: r.rank(QUERY, CHUNKS, fuse=0.5), ValueError, "fuse needs"),
        (lambda r: r.rank(QUERY, CHUNKS, min_relevance=0.5), ValueError, "needs relevance"),
        (lambda r: r.rank("word " * 3000, CHUNKS), ValueError, "tokens"),
        (lambda r: r.trim(QUERY, CHUNKS, max_tokens=1), ValueError, "max_tokens=1 is too few"),
        (lambda r: r.attribute(QUERY, CHUNKS, " "), ValueError, "answer is empty"),
        (lambda r: r.attribute(QUERY, CHUNKS, "a", top_spans=0), ValueError, "top_spans"),
    ],
)
def test_errors_are_the_same(
    remote: RemoteRanker, ranker: AttentionRanker, call: Any, kind: Any, message: str
) -> None:
    """What is wrong is raised as the same class in the same words."""
    with pytest.raises(kind, match=message) as expected:
        call(ranker)
    with pytest.raises(kind, match=message) as found:
        call(remote)
    assert str(found.value) == str(expected.value)
    assert type(found.value) is type(expected.value)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda r: r.attention(QUERY, CHUNKS), UnsupportedModelError, "load the model in this"),
        (lambda r: r.inside(CHUNKS), UnsupportedModelError, "load the model in this process"),
        (lambda r: r.rank(QUERY, CHUNKS, batch_size=2), ValueError, "a server has its own"),
        (lambda r: r.rank(QUERY, CHUNKS, progress=True), ValueError, "a server shows none"),
        (lambda r: r.warm(CHUNKS, batch_size=2), ValueError, "a server has its own"),
        (lambda r: r.attribute(QUERY, CHUNKS, "a", progress=True), ValueError, "shows none"),
    ],
)
def test_what_a_server_does_not_do(
    remote: RemoteRanker, call: Any, kind: Any, message: str
) -> None:
    """It is refused with what to do instead."""
    with pytest.raises(kind, match=message):
        call(remote)


def test_keys_are_compared(ranker: AttentionRanker) -> None:
    """A server with keys lets in who has one, and says to whom has none what to pass."""
    with served(ranker, api_keys="a-key") as url:
        with RemoteRanker(url, api_key="a-key") as remote:
            assert remote.rank(QUERY, CHUNKS).chunks
        with RemoteRanker(url) as remote, pytest.raises(ServerError, match="pass api_key"):
            remote.rank(QUERY, CHUNKS)
