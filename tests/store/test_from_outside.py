"""A store from outside: a class, and the scheme of its URLs in the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from attnmass import AttentionRanker
from attnmass.options.cache import CacheOptions
from attnmass.options.urls import SHARED_STORES
from attnmass.store.entry import Entry
from tests.conftest import HEADS
from tests.tiny import tiny_model, tiny_tokenizer

PLACES: dict[str, dict[str, Entry]] = {}


class InADictionary:
    """Keeps values in a dictionary of this process, by URL."""

    def __init__(self, url: str) -> None:
        self._values = PLACES.setdefault(url, {})
        self.hits = self.misses = self.failures = self.bytes_read = self.bytes_written = 0
        self.trouble: str | None = None

    def read(self, keys: Sequence[str]) -> dict[str, Entry]:
        """As `Shared.read`."""
        found = {key: self._values[key] for key in keys if key in self._values}
        self.hits += len(found)
        self.misses += len(keys) - len(found)
        return found

    def has(self, keys: Sequence[str]) -> set[str]:
        """As `Shared.has`."""
        return self._values.keys() & set(keys)

    def write(self, items: Mapping[str, Entry]) -> None:
        """As `Shared.write`."""
        self._values.update(items)


def test_a_store_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is found by its scheme, and what one ranker read another one has from it, to the bit."""
    monkeypatch.setitem(SHARED_STORES, "dict", f"{__name__}:InADictionary")
    chunks = ["Trains to Munich leave hourly.", "Einstein was born in Ulm."]
    one, other, apart = (
        AttentionRanker(tiny_model(), tiny_tokenizer(), heads=HEADS, shared_store=url)
        for url in ("dict://here", "dict://here", "dict://there")
    )
    first = one.rank("Where was Einstein born?", chunks)
    again = other.rank("Where was Einstein born?", chunks)
    assert again.scores == first.scores
    assert (one.stats.shared_hits, other.stats.shared_hits) == (0, 2)
    assert other.stats.tokens_encoded == 0
    assert other.warm(chunks).read == 0
    assert apart.warm(chunks).read == 2
    with pytest.raises(ValueError, match="not the URL of a Redis, dict or of an object store: "):
        CacheOptions(shared_store="dictionary://here")
