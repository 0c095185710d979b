"""A server over the tiny ranker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from attnmass import AttentionRanker, RemoteRanker
from tests.contract.wire import served


@pytest.fixture(scope="module")
def remote(ranker: AttentionRanker) -> Iterator[RemoteRanker]:
    """The tiny ranker behind a server."""
    with served(ranker) as url:
        found = RemoteRanker(url, traces=True)
        yield found
        found.close()
