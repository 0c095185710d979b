"""Many values in one file that is never changed: a head that says where each is, then the values.

A separate file for each value would mean a request for each. The head comes first, so that one
request for the beginning of a file tells all that is in it, and any values take a request for a
range. What a head says is trusted no further than its checksum and the file's size allow, and a
value only with the checksum that the store's own file also has.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from attnmass.store.entry import Entry
from attnmass.store.statements import checksum

ENDING: Final = ".pack"
HEAD_BYTES: Final = 64 << 10  # to read first; the places of more than 600 values fit there
PACK_BYTES: Final = 32 << 20  # of values in a file, roughly

_MAGIC = b"attnpak1"  # a new number for another format
_HEADER = struct.Struct("<8sIII")  # magic, how many, bytes of their places, and checksum of those
_PLACE = struct.Struct("<HQIqI")  # bytes of the key, which follows; as `Place`
_LONGEST_HEAD = 64 << 20  # bytes
_LARGEST = 64 << 20  # bytes of a value
_GAP = 16 << 10  # bytes that are read along rather than split into two requests
_LONGEST = 16 << 20  # bytes of one range


class Place(NamedTuple):
    """Where a value is.

    Attributes:
        pack: The file's name.
        start: Where its bytes begin in the file.
        size: How many there are.
        tokens: As in `Entry`.
        checksum: That of key, data and tokens.
    """

    pack: str
    start: int
    size: int
    tokens: int
    checksum: int


class Span(NamedTuple):
    """A range of a file, and the keys of the values in it."""

    pack: str
    start: int
    end: int
    keys: tuple[str, ...]


def packed(items: Mapping[str, Entry]) -> tuple[str, bytes]:
    """The name, a digest of what is in it, and the bytes of a file with the values."""
    keys = {key: _encoded(key) for key in items}
    start = _HEADER.size + sum(_PLACE.size + len(name) for name in keys.values())
    places = []
    for key, name in keys.items():
        data, tokens = items[key].data, items[key].tokens
        said = checksum(name, data, tokens)
        places.append(_PLACE.pack(len(name), start, len(data), tokens, said) + name)
        start += len(data)
    head = b"".join(places)
    header = _HEADER.pack(_MAGIC, len(keys), len(head), zlib.crc32(head))
    file = b"".join([header, head, *(entry.data for entry in items.values())])
    return hashlib.sha256(file).hexdigest()[:32] + ENDING, file


def fits_a_pack(entry: Entry) -> bool:
    """Whether a value is small enough not to hold others up."""
    return len(entry.data) <= _LARGEST


def head_size(begin: bytes) -> int:
    """How long the head of a file is that begins like this; 0 where it is not one of ours."""
    if len(begin) < _HEADER.size:
        return 0
    magic, _, size, _ = _HEADER.unpack_from(begin)
    return _HEADER.size + size if magic == _MAGIC and size <= _LONGEST_HEAD else 0


def places_in(pack: str, head: bytes, file_size: int) -> dict[str, Place] | None:
    """Where values are, by key, only those that lie within the file; `None` if it is damaged.

    Args:
        pack: The file's name.
        head: As many bytes as `head_size` says.
        file_size: In bytes.
    """
    if len(head) < _HEADER.size or len(head) != head_size(head):
        return None
    _, count, _, said = _HEADER.unpack_from(head)
    if zlib.crc32(memoryview(head)[_HEADER.size :]) != said:
        return None
    found: dict[str, Place] = {}
    at = _HEADER.size
    for _ in range(count):
        if at + _PLACE.size > len(head):
            return None
        length, start, size, tokens, summed = _PLACE.unpack_from(head, at)
        at += _PLACE.size
        name = head[at : at + length]
        at += length
        if size <= _LARGEST and start + size <= file_size:
            try:
                key = name.decode("utf-8", "surrogatepass")
            except UnicodeDecodeError:
                return None
            found[key] = Place(pack, start, size, tokens, summed)
    return found


def read_value(key: str, place: Place, data: bytes) -> Entry | None:
    """The value, if these are its bytes."""
    is_whole = place.checksum == checksum(_encoded(key), data, place.tokens)
    return Entry(data, place.tokens) if is_whole and len(data) == place.size else None


def spans(places: Mapping[str, Place]) -> Iterator[Span]:
    """Few ranges in which all values lie: neighbours are read together."""
    current: list[str] = []
    first = last = Place("", 0, 0, 0, 0)
    for key in sorted(places, key=lambda key: places[key][:2]):
        place = places[key]
        is_near = (
            place.pack == first.pack
            and place.start - (last.start + last.size) <= _GAP
            and place.start + place.size - first.start <= _LONGEST
        )
        if current and not is_near:
            yield _span(current, places)
            current = []
        if not current:
            first = place
        current.append(key)
        last = place
    if current:
        yield _span(current, places)


def _span(keys: Sequence[str], places: Mapping[str, Place]) -> Span:
    found = [places[key] for key in keys]
    end = max(place.start + place.size for place in found)  # a dishonest one may lie inside another
    return Span(found[0].pack, found[0].start, end, tuple(keys))


def filled(items: Iterable[tuple[str, Entry]]) -> Iterator[dict[str, Entry]]:
    """Values in groups, each as many as fill a file."""
    part: dict[str, Entry] = {}
    size = 0
    for key, entry in items:
        part[key] = entry
        size += len(entry.data)
        if size >= PACK_BYTES:
            yield part
            part, size = {}, 0
    if part:
        yield part


def _encoded(key: str) -> bytes:
    return key.encode("utf-8", "surrogatepass")
