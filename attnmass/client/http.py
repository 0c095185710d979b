"""Requests to one server: its key, how long they may take, and when they are sent again."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import random
import time
import weakref
from collections.abc import Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from attnmass.engine.forking import ForkLock
from attnmass.engine.telemetry import carrier
from attnmass.errors import CaptureError, ServerError, UnsupportedModelError
from attnmass.options.remote import API_KEY, RemoteOptions
from attnmass.options.urls import check_url

if TYPE_CHECKING:
    import httpx

_FIRST_WAIT = 0.25  # seconds, doubled each time, where the server does not say when to come back
_LONGEST_WAIT = 8.0
_BUSY = (429, 503)

# Less than the server's, so that no request goes into a connection that is being closed.
_KEEP_ALIVE = 30


class Http:
    """Asks one server; threads may share it, and a forked process connects anew."""

    def __init__(
        self, url: str, options: RemoteOptions, http_client: httpx.Client | None = None
    ) -> None:
        """Connect to nothing yet.

        Args:
            url: The server's.
            options: How it is asked.
            http_client: Sends requests instead of one with httpx's defaults.

        Raises:
            ValueError: If the URL is not one.
            ImportError: If httpx is missing.
        """
        self.url = check_url(url)
        self._options = options
        if importlib.util.find_spec("httpx") is None:
            raise ImportError(
                f'a server as model={url!r} needs httpx: pip install "attnmass[client]"'
            )
        self._given = http_client
        self._own: _Connections | None = None
        self._lock = ForkLock()

    def get(self, path: str) -> bytes:
        """What is at a path; errors as in `post`."""
        return self._ask("GET", path, None)

    def post(self, path: str, body: Mapping[str, Any]) -> bytes:
        """The answer to a request.

        Raises:
            ValueError: If the server says that the input cannot be right.
            CaptureError, UnsupportedModelError, MemoryError, RuntimeError: If the model failed, as
                they would be raised in this process.
            ServerError: If there is no answer, or none that fits.
        """
        return self._ask("POST", path, encoded(body))

    def close(self) -> None:
        """Close connections; a later request opens them again. One that was passed in stays."""
        with self._lock:
            mine, self._own = self._own, None
        if mine is not None:
            mine.close()

    def _client(self) -> httpx.Client:
        if self._given is not None:
            return self._given
        with self._lock:
            if self._own is None or self._own.process != os.getpid():
                # The parent's is left alone: to close it would end what the parent is in.
                self._own = _Connections()
                weakref.finalize(self, self._own.close)
            return self._own.client

    def _ask(self, method: str, path: str, content: bytes | None) -> bytes:
        """Ask until there is an answer, or the time is over."""
        options = self._options
        end = time.monotonic() + options.timeout
        for trial in range(options.retries + 1):
            try:
                status, body, headers = self._send(method, path, content, end)
            except _NoAnswerError as error:
                failure: Exception = ServerError(
                    f"{self.url} {error}: is attnmass serve running there?"
                )
                wait = _backoff(trial)
            else:
                if status == 200:
                    return body
                failure = self._failure(status, body)
                if status not in _BUSY:
                    raise failure
                wait = max(_said(headers.get("retry-after")), 0.0) or _backoff(trial)
            if trial == options.retries or time.monotonic() + wait >= end:
                raise failure
            time.sleep(wait)
        raise AssertionError  # the last trial returns or raises

    def _send(
        self, method: str, path: str, content: bytes | None, end: float
    ) -> tuple[int, bytes, Mapping[str, str]]:
        """One request.

        Raises:
            _NoAnswerError: If nothing came back, or not in time.
        """
        import httpx

        key = self._options.key
        headers = {"User-Agent": f"attnmass/{version('attnmass')}", **carrier()}
        if content is not None:
            headers["Content-Type"] = "application/json"
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        left = max(0.001, end - time.monotonic())
        late = f"did not answer within {self._options.timeout:g} seconds"
        try:
            with self._client().stream(
                method,
                self.url + path,
                content=content,
                headers=headers,
                timeout=left,
                follow_redirects=False,
            ) as response:
                parts = []
                for part in response.iter_bytes():
                    parts.append(part)
                    if time.monotonic() > end:
                        raise _NoAnswerError(late)
                return response.status_code, b"".join(parts), response.headers
        except httpx.TimeoutException as error:
            raise _NoAnswerError(late) from error
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise _NoAnswerError(f"cannot be asked ({error})") from error

    def _failure(self, status: int, body: bytes) -> Exception:
        """What an answer other than 200 is raised as: what a call in this process would raise."""
        try:
            said = json.loads(body)
            message, kind = str(said["message"]), str(said["error_type"])
        except (ValueError, KeyError, TypeError):
            if 300 <= status < 400:
                return ServerError(
                    f"{self.url} answers {status}, which redirects: pass the address that "
                    "it redirects to",
                    status,
                )
            return ServerError(
                f"{self.url} answers {status}, and not as attnmass serve does: does the URL name "
                "one?",
                status,
            )
        if status in (400, 413):
            return ValueError(message)
        if status == 401:
            return ServerError(
                f"{self.url} lets nobody in without an API key: pass api_key, or set {API_KEY}",
                status,
            )
        if status == 404:
            why = f"it may be older than version {version('attnmass')}, which asks"
            if urlsplit(self.url).path.strip("/"):
                why = f"leave out what is behind the host if the server is not behind it, or {why}"
            return ServerError(f"{self.url} has no such route ({message}): {why}", status)
        if status == 424:
            return _OF_MODEL.get(kind, RuntimeError)(message)
        return ServerError(f"{self.url}: {message}", status)


_OF_MODEL: Mapping[str, type[Exception]] = {
    "capture_failed": CaptureError,
    "out_of_memory": MemoryError,
    "unsupported_model": UnsupportedModelError,
}


class _Connections:
    """Connections of one process."""

    def __init__(self) -> None:
        import httpx

        self.process = os.getpid()
        limits = httpx.Limits(max_connections=None, keepalive_expiry=_KEEP_ALIVE)
        self.client = httpx.Client(limits=limits)

    def close(self) -> None:
        """Close them, in that process."""
        if self.process == os.getpid():
            self.client.close()


class _NoAnswerError(Exception):
    """Nothing came back."""


def encoded(body: Mapping[str, Any]) -> bytes:
    """JSON of a request; lone surrogates, which UTF-8 has not, are escaped."""
    try:
        return json.dumps(body, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(body, allow_nan=False).encode("ascii")


def _backoff(trial: int) -> float:
    """Seconds before a request is sent again; not the same for all who were refused together."""
    most: float = min(_LONGEST_WAIT, _FIRST_WAIT * 2**trial)
    return most * random.uniform(0.5, 1.0)


def _said(retry_after: str | None) -> float:
    """Seconds that a `Retry-After` asks for, as a number or as a date; 0 for none."""
    if retry_after is None:
        return 0.0
    try:
        seconds = float(retry_after)
        return 0.0 if math.isnan(seconds) else seconds
    except ValueError:
        pass
    try:
        when = parsedate_to_datetime(retry_after)
    except ValueError:
        return 0.0
    if when.tzinfo is None:
        when = when.replace(tzinfo=timezone.utc)
    return (when - datetime.now(timezone.utc)).total_seconds()
