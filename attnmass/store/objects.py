"""Values at rest in a folder that fsspec reaches: an object store, or files that machines share.

Many values lie in each file, see `attnmass.store.packs`, and no file is ever changed, so nobody has
to lock anything. Queries read; whoever has read a corpus writes, see `attnmass.store.copying`.
Whatever goes wrong in reading is a miss: a store that is gone, slow or refuses, and files that are
cut off, damaged or foreign.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from attnmass.store.counted import Counted
from attnmass.store.entry import Entry
from attnmass.store.far_files import FarFiles, RestingError, TroubleError
from attnmass.store.forks import Guarded
from attnmass.store.packs import (
    ENDING,
    HEAD_BYTES,
    Place,
    Span,
    head_size,
    packed,
    places_in,
    read_value,
    spans,
)

_PATIENCE = 5.0  # seconds for all that one call asks; what is missing after that is read anew
_FRESH = 30.0  # seconds in which files that others wrote are not looked for again
_AT_ONCE = 32  # ranges in one call to fsspec, which asks for them side by side where it can


class ObjectStore(Counted, Guarded):
    """Values by key in files of a folder; threads may share it, and a forked process begins anew.

    Where the values are is kept in memory, some 300 bytes for each. Trouble may also concern a
    file.
    """

    def __init__(self, url: str, patience: float = _PATIENCE) -> None:
        """Ask nothing yet.

        Args:
            url: As `Storing.shared_store`; keys and passwords come from wherever the file system's
                package looks for them, such as the environment.
            patience: Seconds for all that one call asks.

        Raises:
            ImportError: If fsspec, or what it needs for this kind of address, is missing.
        """
        super().__init__(url)
        if importlib.util.find_spec("fsspec") is None:
            raise ImportError(f'shared_store={url!r} needs fsspec: pip install "attnmass[fsspec]"')
        self._patience = patience
        self._files = FarFiles(url)
        self._packs: dict[str, int] = {}  # the size of each that was looked at
        self._places: dict[str, Place] = {}
        self._listed = float("-inf")  # by the monotonic clock

    def __reduce__(self) -> tuple[type[ObjectStore], tuple[str, float]]:
        """Connections, and what is known of files, stay behind."""
        return ObjectStore, (self.url, self._patience)

    def forget_parent(self) -> None:
        """In a child: connections and threads are the parent's."""
        super().forget_parent()
        self._files.forget()

    def read(self, keys: Sequence[str]) -> dict[str, Entry]:
        """The values that are there and intact, by key."""
        found: dict[str, Entry] = {}
        with self.lock:
            with self._asked():
                end = time.monotonic() + self._patience
                self._look(keys, end)
                places = {key: self._places[key] for key in keys if key in self._places}
                ranges = list(spans(places))
                for start in range(0, len(ranges), _AT_ONCE):
                    for key, entry in self._values(ranges[start : start + _AT_ONCE], places, end):
                        found[key] = entry
            self._count(keys, found)
        return found

    def has(self, keys: Sequence[str]) -> set[str]:
        """Which values are there, without reading them."""
        with self.lock:
            with self._asked():
                self._look(keys, time.monotonic() + self._patience)
            return {key for key in keys if key in self._places}

    def keys(self) -> list[str]:
        """Those of all values, as they lie in files, so that neighbours are read together."""
        with self.lock:
            self._listed = float("-inf")
            with self._asked():
                self._look([""], time.monotonic() + self._patience)
            return sorted(self._places, key=lambda key: self._places[key][:2])

    def write(self, items: Mapping[str, Entry]) -> None:
        """Do nothing: a file for what one query has read would be too small; see `add`."""

    def add(self, items: Mapping[str, Entry]) -> None:
        """Write values as one file.

        Raises:
            OSError: If that cannot be done, or takes longer than `patience`.
        """
        if not items:
            return
        name, file = packed(items)
        with self.lock:
            end = time.monotonic() + self._patience
            self._files.wake()
            self._files.write(name, file, end)
            self.bytes_written += len(file)
            self._take(name, file[: head_size(file)], len(file))

    def close(self) -> None:
        """Forget connections; a later call opens them again."""
        with self.lock:
            self._files.forget()

    def _look(self, keys: Sequence[str], end: float) -> None:
        """Look for new files, if one of the keys is in none of the known ones."""
        if time.monotonic() < self._listed + _FRESH or all(key in self._places for key in keys):
            return
        listed = self._files.sizes(end)
        sizes = {name: size for name, size in listed.items() if name.endswith(ENDING)}
        for name in self._packs.keys() - sizes.keys():
            self._drop(name)
        new = sorted(name for name, size in sizes.items() if self._packs.get(name) != size)
        for start in range(0, len(new), _AT_ONCE):
            part = new[start : start + _AT_ONCE]
            begins = self._ranges([(name, 0, min(HEAD_BYTES, sizes[name])) for name in part], end)
            longer = {
                name: size
                for name, begin in zip(part, begins, strict=True)
                if len(begin) < (size := min(head_size(begin), sizes[name]))
            }
            more = self._ranges([(name, 0, size) for name, size in longer.items()], end)
            heads = dict(zip(part, begins, strict=True)) | dict(zip(longer, more, strict=True))
            for name, head in heads.items():
                self._take(name, head[: head_size(head)], sizes[name])
        self._listed = time.monotonic()

    def _values(
        self, ranges: Sequence[Span], places: Mapping[str, Place], end: float
    ) -> Iterator[tuple[str, Entry]]:
        found = self._ranges([(span.pack, span.start, span.end) for span in ranges], end)
        for span, data in zip(ranges, found, strict=True):
            for key in span.keys:
                place = places[key]
                begin = place.start - span.start
                entry = read_value(key, place, data[begin : begin + place.size])
                if entry is not None:
                    yield key, entry
                elif self._places.pop(key, None) is not None:  # unless the whole file is gone
                    self._tell(self._damaged(span.pack))

    def _ranges(self, asked: Sequence[tuple[str, int, int]], end: float) -> list[bytes]:
        """Bytes of files; none for one that is gone."""
        found = self._files.ranges(asked, end)
        for (name, _, _), data in zip(asked, found, strict=True):
            if data is None:
                self._drop(name)
        return [data or b"" for data in found]

    def _take(self, name: str, head: bytes, size: int) -> None:
        """Note what is in a file."""
        self._drop(name)
        self._packs[name] = size
        places = places_in(name, head, size)
        if places is None:
            self._tell(self._damaged(name))
        else:
            self._places |= places

    def _drop(self, name: str) -> None:
        if self._packs.pop(name, None) is not None:
            self._places = {key: at for key, at in self._places.items() if at.pack != name}

    @contextmanager
    def _asked(self) -> Iterator[None]:
        """Go on without the store where it fails, and leave it alone for a while."""
        try:
            yield
        except TroubleError as error:
            self.failures += 1
            if not isinstance(error, RestingError):
                self._tell(f"the shared store {self.url} cannot be used: {error}")

    def _damaged(self, name: str) -> str:
        return (
            f"{name} of the shared store {self.url} is not what was written, and what is damaged "
            "of it is left out: remove the file, and have its chunks written again"
        )
