"""Values in a Redis that many machines share: asked for in pipelines, and never waited for long.

Whatever goes wrong there is a miss: a server that is stopped, slow, full, or of another kind, and a
value that is damaged or foreign, judged by the same checksum as in the store's own file.
"""

from __future__ import annotations

import importlib.util
import os
import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from attnmass.options.urls import REDIS_PASSWORD
from attnmass.store.counted import Counted
from attnmass.store.entry import Entry
from attnmass.store.statements import checksum

_PREFIX = b"attnmass:1:"  # a new number for another format
_HEADER = struct.Struct("<Iq")  # checksum, tokens

_CONNECT = 0.25  # seconds
_ANSWER = 0.5  # seconds without a byte
_PATIENCE = 2.0  # seconds for all that one call asks; what is missing after that is read anew
_REST = 5.0  # seconds in which a server that failed is not asked again

_AT_ONCE = 32  # values in one round trip
_LARGEST = 64 << 20  # bytes of a value; larger ones would hold others up


class SharedStore(Counted):
    """Values by key in a Redis; threads may share it, and a forked process connects anew.

    What is evicted, and when, is up to the server (`maxmemory-policy`).
    """

    def __init__(self, url: str) -> None:
        """Connect to nothing yet.

        Args:
            url: As `Storing.shared_store`; a password comes from the environment.

        Raises:
            ImportError: If redis is missing.
        """
        if importlib.util.find_spec("redis") is None:
            raise ImportError(f'shared_store={url!r} needs redis: pip install "attnmass[redis]"')
        super().__init__(url)
        self._client: Any = None
        self._resting_until = 0.0  # by the monotonic clock

    def __reduce__(self) -> tuple[type[SharedStore], tuple[str]]:
        """Connections stay behind."""
        return SharedStore, (self.url,)

    def read(self, keys: Sequence[str]) -> dict[str, Entry]:
        """The values that are there and intact, by key."""
        found: dict[str, Entry] = {}
        with self._asked():
            end = time.monotonic() + _PATIENCE
            for part in self._parts(keys, end):
                values = self._redis().mget([_named(key) for key in part])
                for key, value in zip(part, values, strict=True):
                    entry = None if value is None else _read(key, value)
                    if entry is not None:
                        found[key] = entry
                    elif value is not None:
                        self._tell("a value of the shared store is not what was written: left out")
        self._count(keys, found)
        return found

    def has(self, keys: Sequence[str]) -> set[str]:
        """Which values are there, without reading them."""
        found: set[str] = set()
        with self._asked():
            end = time.monotonic() + _PATIENCE
            for part in self._parts(keys, end):
                with self._redis().pipeline(transaction=False) as pipeline:
                    for key in part:
                        pipeline.exists(_named(key))
                    there = pipeline.execute()
                found |= {key for key, yes in zip(part, there, strict=True) if yes}
        return found

    def write(self, items: Mapping[str, Entry]) -> None:
        """Keep values, as far as there is room and time."""
        kept = {key: each for key, each in items.items() if len(each.data) <= _LARGEST}
        with self._asked():
            end = time.monotonic() + _PATIENCE
            for part in self._parts(list(kept), end):
                with self._redis().pipeline(transaction=False) as pipeline:
                    for key in part:
                        pipeline.set(_named(key), _written(key, kept[key]))
                    pipeline.execute()
                self.bytes_written += sum(len(kept[key].data) for key in part)

    def close(self) -> None:
        """Close connections; a later call opens them again."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _redis(self) -> Any:
        if self._client is None:
            from redis import Redis
            from redis.backoff import NoBackoff
            from redis.retry import Retry

            self._client = Redis.from_url(
                self.url,
                password=os.environ.get(REDIS_PASSWORD) or None,
                socket_connect_timeout=_CONNECT,
                socket_timeout=_ANSWER,
                retry=Retry(NoBackoff(), 0),
            )
        return self._client

    @contextmanager
    def _asked(self) -> Iterator[None]:
        """Go on without the server where it fails, and leave it alone for a while."""
        from redis.exceptions import RedisError, ResponseError

        try:
            yield
        except (RedisError, OSError, ValueError) as error:
            self.failures += 1
            self._tell(f"the shared store {self.url} cannot be used: {error}")
            if not isinstance(error, ResponseError):  # such as a full server, which says so at once
                self._resting_until = time.monotonic() + _REST

    def _parts(self, keys: Sequence[str], end: float) -> Iterator[Sequence[str]]:
        """Keys in parts, until the time is up; none while the server is left alone."""
        if keys and time.monotonic() < self._resting_until:
            self.failures += 1
            return
        for start in range(0, len(keys), _AT_ONCE):
            if start and time.monotonic() > end:
                raise TimeoutError(f"no more than {_PATIENCE:g} seconds are spent waiting for it")
            yield keys[start : start + _AT_ONCE]


def _named(key: str) -> bytes:
    return _PREFIX + key.encode("utf-8", "surrogatepass")


def _written(key: str, entry: Entry) -> bytes:
    said = checksum(_named(key), entry.data, entry.tokens)
    return _HEADER.pack(said, entry.tokens) + entry.data


def _read(key: str, value: bytes) -> Entry | None:
    """The value that `_written` encoded; `None` if it did not."""
    if len(value) < _HEADER.size:
        return None
    said, tokens = _HEADER.unpack_from(value)
    data = value[_HEADER.size :]
    return Entry(data, tokens) if said == checksum(_named(key), data, tokens) else None
