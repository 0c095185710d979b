"""From a store's folder into an object store, and back into another folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from attnmass.store.disk import DiskStore
from attnmass.store.entry import Entry
from attnmass.store.objects import ObjectStore
from attnmass.store.packs import filled, fits_a_pack

PATIENCE = 120.0  # seconds for each file
_AT_ONCE = 256  # values that are looked for together


@dataclass(frozen=True, slots=True)
class Copied:
    """What was copied.

    Attributes:
        values: How many.
        there: How many were already there.
        bytes: Of what was written, or read.
    """

    values: int
    there: int
    bytes: int


def push(folder: DiskStore, objects: ObjectStore) -> Copied:
    """Write what a folder has into files of an object store, except what is already there.

    Cut short, it leaves whole files, and resumes there the next time.

    Raises:
        OSError: If the folder cannot be read, or the object store cannot be asked or written.
    """
    before, there, values = objects.bytes_written, 0, 0

    def missing() -> Iterator[tuple[str, Entry]]:
        nonlocal there
        tokens = folder.tokens()
        while part := dict(islice(tokens, _AT_ONCE)):
            failures = objects.failures
            known = objects.has(list(part))
            _check(objects, failures)
            there += len(known)
            for key, data in folder.read([key for key in part if key not in known]).items():
                entry = Entry(data, part[key])
                if fits_a_pack(entry):
                    yield key, entry

    for items in filled(missing()):
        objects.add(items)
        values += len(items)
    return Copied(values, there, objects.bytes_written - before)


def pull(objects: ObjectStore, folder: DiskStore) -> Copied:
    """Fill a folder with all that an object store has, except what is already there.

    Raises:
        OSError: If the object store cannot be asked, or the folder cannot be written.
    """
    before, there, values = objects.bytes_read, 0, 0
    failures = objects.failures
    keys = objects.keys()
    _check(objects, failures)
    for start in range(0, len(keys), _AT_ONCE):
        part = keys[start : start + _AT_ONCE]
        known = folder.has(part)
        there += len(known)
        found = objects.read([key for key in part if key not in known])
        _check(objects, failures)
        folder.write(found)
        if folder.trouble is not None:
            raise OSError(folder.trouble)
        values += len(found)
    return Copied(values, there, objects.bytes_read - before)


def _check(objects: ObjectStore, failures: int) -> None:
    if objects.failures > failures:
        raise OSError(objects.trouble)
