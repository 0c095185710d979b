"""Addresses of servers and of shared stores."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from attnmass import RemoteRanker
from attnmass.options.cache import CacheOptions


def store(url: str) -> CacheOptions:
    """What is asked for before a model is loaded."""
    return CacheOptions(shared_store=url)


@pytest.mark.parametrize(
    ("take", "url", "message"),
    [
        (store, "s3://", "names no folder"),
        (store, "file:", "names no folder"),
        (store, "s3:bucket", "names no folder"),
        (store, "s3://user:secret@bucket/x", "ends up in logs"),
        (store, "s3://bucket/x?password=secret", "ends up in logs"),
        (store, "s3://bucket/x?version=1", "and no more"),
        (store, "file:///a::s3://bucket", "and no more"),
        (store, "ftp://host/x", "not the URL of a Redis or of an object store"),
        (store, "http://host", "not the URL of a Redis"),
        (store, "redis://", "not the URL of a Redis"),
        (store, "localhost:6379", "not the URL of a Redis"),
        (store, "redis://host:x", "not a URL"),
        (store, "redis://:secret@host", "ATTNMASS_REDIS_PASSWORD"),
        (store, "redis://host/0?password=secret", "ATTNMASS_REDIS_PASSWORD"),
        (RemoteRanker, "ftp://host", "not an http or https URL"),
        (RemoteRanker, "host:8080", "not an http or https URL"),
        (RemoteRanker, "http://", "scheme, host, port and path"),
        (RemoteRanker, "http://host?x=1", "scheme, host, port and path"),
        (RemoteRanker, "http://host#x", "scheme, host, port and path"),
        (RemoteRanker, "http://host:port", "is not a URL"),
        (RemoteRanker, "http://host:99999", "is not a URL"),
        (RemoteRanker, "http://me:secret@host", "pass api_key"),
    ],
)
def test_what_is_no_address(take: Callable[[str], object], url: str, message: str) -> None:
    """It fails before a model is loaded or a server asked, and a password is not repeated."""
    with pytest.raises(ValueError, match=message) as caught:
        take(url)
    assert "secret" not in str(caught.value)
