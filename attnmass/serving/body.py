"""Reads a request's body: bounded while it arrives, and JSON whatever its content type says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from starlette.requests import ClientDisconnect, Request

from attnmass.serving.errors import BadRequest, HttpError, TooLarge, TryLater
from attnmass.text.strict_json import read_json as parse_json

# How much of a body that is too large is read and discarded, so that whoever sends it gets to read
# the answer instead of a connection error.
_DISCARDED = 8


class Gone(Exception):  # noqa: N818 - not an error: nobody is there to be answered
    """Whoever asked has left."""


class Room:
    """Bytes of bodies that may be in memory at once; used in one event loop."""

    def __init__(self, limit: int) -> None:
        """Start empty.

        Args:
            limit: Bytes.
        """
        self._limit = limit
        self.taken = 0

    @contextmanager
    def place(self) -> Iterator[Place]:
        """A place for one body, which is returned at the end."""
        place = Place(self, self._limit)
        try:
            yield place
        finally:
            self.taken -= place.held


class Place:
    """What one body takes of a `Room`."""

    def __init__(self, room: Room, limit: int) -> None:
        """Take nothing yet."""
        self._room = room
        self._limit = limit
        self.held = 0

    def take(self, n_bytes: int) -> None:
        """Take more.

        Raises:
            TryLater: If others have taken it.
        """
        if self._room.taken and self._room.taken + n_bytes > self._limit:
            raise TryLater(
                "busy", f"bodies of {self._room.taken:,} bytes are being read", status=429
            )
        self._room.taken += n_bytes
        self.held += n_bytes


async def read_body(request: Request, place: Place, *, max_bytes: int, seconds: float) -> bytes:
    """The body, read within bounds.

    Args:
        request: The request.
        place: Where its bytes are counted.
        max_bytes: How large it may be, with and without a `Content-Length`.
        seconds: How long it may take to arrive.

    Raises:
        TooLarge: If it is larger.
        TryLater: If there is no room for it.
        BadRequest: If it is compressed.
        HttpError: If it took too long.
        Gone: If whoever sent it has left.
    """
    coding = request.headers.get("content-encoding", "identity")
    if coding.lower() != "identity":
        raise BadRequest(f"the body is {coding}-encoded: send it as it is")
    try:
        return await asyncio.wait_for(_read(request, place, max_bytes), seconds)
    except asyncio.TimeoutError:
        raise HttpError(
            408,
            "request_timeout",
            f"the body did not arrive within {seconds:g} seconds",
            {"Connection": "close"},
        ) from None
    except ClientDisconnect:
        raise Gone from None


async def _read(request: Request, place: Place, max_bytes: int) -> bytes:
    said = request.headers.get("content-length", "")
    announced = int(said) if said.isdecimal() else 0
    too_large = TooLarge(f"the body is larger than {max_bytes:,} bytes")
    if announced > max_bytes and "expect" in request.headers:  # nothing was sent yet
        raise too_large
    full: TryLater | None = None
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        is_large = max(size, announced) > max_bytes
        if not is_large and full is None:
            try:
                place.take(len(part))
            except TryLater as error:
                full = error
        if not is_large and full is None:
            parts.append(part)
            continue
        parts.clear()
        if size > _DISCARDED * max_bytes:
            break
    if max(size, announced) > max_bytes:
        raise too_large
    if full is not None:
        raise full
    return b"".join(parts)


def read_json(body: bytes) -> dict[str, Any]:
    """A body's JSON object.

    Raises:
        BadRequest: If it is not one.
    """
    try:
        found = parse_json(body.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise BadRequest(f"the body is not UTF-8, from byte {error.start} on") from None
    except RecursionError:
        raise BadRequest("the body's JSON is nested too deeply") from None
    except ValueError as error:
        raise BadRequest(f"the body is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise BadRequest(f"the body must be a JSON object, not {_named(found)}")
    return found


def to_json(data: Any) -> bytes:
    """JSON of an answer; lone surrogates, which UTF-8 does not have, are escaped."""
    try:
        return json.dumps(data, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(data, allow_nan=False).encode("ascii")


def _named(value: Any) -> str:
    names = {list: "an array", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
