"""A folder that fsspec reaches, with a time limit on each request: fsspec itself has none."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from threading import Thread
from typing import Any, TypeVar
from urllib.parse import urlsplit

Result = TypeVar("Result")

_REST = 30.0  # seconds in which a store that failed is not asked again


class TroubleError(OSError):
    """The store could not be asked."""


class RestingError(TroubleError):
    """It failed a moment ago, and is not asked for now."""


class FarFiles:
    """Files in a folder, by name; one thread at a time may use them.

    Attributes:
        url: The folder.
    """

    def __init__(self, url: str) -> None:
        """Ask nothing yet.

        Raises:
            ImportError: If a package that fsspec needs for this kind of address is missing.
            ValueError: If it does not know this kind.
        """
        from fsspec import get_filesystem_class

        get_filesystem_class(urlsplit(url).scheme)  # says what is missing
        self.url = url
        self._files: Any = None
        self._root = ""
        self._resting_until = float("-inf")  # by the monotonic clock
        self._asked: Future[Any] | None = None

    def forget(self) -> None:
        """Leave connections and threads behind; the next call has its own."""
        self._files = self._asked = None

    def wake(self) -> None:
        """Ask again at once, even though it failed."""
        self._resting_until = float("-inf")

    def sizes(self, end: float) -> dict[str, int]:
        """All files with their sizes in bytes.

        Args:
            end: When to give up, by the monotonic clock; so below.

        Raises:
            TroubleError: If they cannot be listed; so below.
        """

        def ask(files: Any) -> dict[str, int]:
            files.invalidate_cache(self._root)
            try:
                listed = files.ls(self._root, detail=True)
            except FileNotFoundError:  # nothing has been written yet
                return {}
            return {
                str(one["name"]).rpartition("/")[2]: int(one.get("size") or 0) for one in listed
            }

        return self._call(end, ask)

    def ranges(self, asked: Sequence[tuple[str, int, int]], end: float) -> list[bytes | None]:
        """Bytes of files from one place to another, fewer where they end; `None` for no file."""
        if not asked:
            return []
        names, starts, ends = zip(*asked, strict=True)

        def ask(files: Any) -> list[Any]:
            paths = [f"{self._root}/{name}" for name in names]
            return list(files.cat_ranges(paths, list(starts), list(ends), on_error="return"))

        found = self._call(end, ask)
        for each in found:
            if isinstance(each, BaseException) and not isinstance(each, FileNotFoundError):
                raise self._failed(_said(each)) from each
        return [each if isinstance(each, bytes) else None for each in found]

    def write(self, name: str, data: bytes, end: float) -> None:
        """Write a file."""
        self._call(end, lambda files: files.pipe_file(f"{self._root}/{name}", data))

    def _call(self, end: float, ask: Callable[[Any], Result]) -> Result:
        """Ask in a thread, which is left behind where it takes too long."""
        # Judged by its answer: a thread lives on for a moment after that.
        is_busy = self._asked is not None and not self._asked.done()
        if is_busy or time.monotonic() < self._resting_until:
            raise RestingError("it failed a moment ago")
        future: Future[Result] = Future()

        def run() -> None:
            try:
                future.set_result(ask(self._opened()))
            except BaseException as error:  # packages for file systems raise any kind
                future.set_exception(error)

        self._asked = future
        Thread(target=run, name="attnmass shared store", daemon=True).start()
        try:
            return future.result(max(end - time.monotonic(), 0.0))
        except Exception as error:
            what = _said(error) if future.done() else "it takes too long to answer"
            raise self._failed(what) from error

    def _failed(self, what: str) -> TroubleError:
        self._resting_until = time.monotonic() + _REST
        return TroubleError(what)

    def _opened(self) -> Any:
        if self._files is None:
            from fsspec.core import url_to_fs

            more = {"auto_mkdir": True} if self.url.startswith("file:") else {}
            files, root = url_to_fs(self.url, skip_instance_cache=True, **more)
            self._files, self._root = files, root.rstrip("/")
        return self._files


def _said(error: BaseException) -> str:
    return str(error) or type(error).__name__
