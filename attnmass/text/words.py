"""Which words of a query a text says, rare words counting for more, whatever their endings."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

from attnmass.text.echo import Echo
from attnmass.text.rarity import LETTERS, UNSPACED, Rarity, beginnings

_K1, _B = 0.9, 0.4  # of BM25, as in Anserini
_WHOLE = 2**30  # what a query's words weigh together, roughly
_ROWS = 256  # texts that are compared with all at once


class QueryWords:
    """The words of a query, to be found in texts.

    A word weighs the square of its inverse document frequency, which in the vector space model is
    in the query's vector and in the text's (Salton and Buckley, 1988).
    """

    def __init__(self, query: str, rarity: Rarity) -> None:
        """Weight each word of the query once.

        Args:
            query: The query.
            rarity: How rare words are.
        """
        weights = {beginning: rarity(beginning) ** 2 for beginning in beginnings(query)}
        total = sum(weights.values())
        self._echo = Echo(query, rarity)
        # Whole numbers, whose sums are the same in any order.
        self._weights = [round(_WHOLE * weight / total) for weight in weights.values()]
        self._total = max(1, sum(self._weights))
        self._words = [(one, _between_spaces(one)) for one in weights]

    def said(self, text: str) -> float:
        """The share of the words that a text says, see `found` and `share`."""
        return self.share(self.found(text))

    def found(self, text: str) -> int:
        """Which words a text says, a bit for each; those of several texts are joined by `|`.

        Where it repeats the query, it says nothing, see `Echo`. Takes time linear in the text.
        """
        text = self._echo.without(text).lower()
        found = 0
        for place, (one, standing) in enumerate(self._words):
            # Short words occur within many others, so the places where most occur are tried first.
            if standing in text or (one in text and _says(text, one)):
                found |= 1 << place
        return found

    def share(self, found: int) -> float:
        """The share of the words by their rarity, in [0, 1]; never less for more words."""
        said = sum(weight for place, weight in enumerate(self._weights) if found >> place & 1)
        return said / self._total

    def by_pairs(self, found: Sequence[int]) -> Iterator[float]:
        """The share that each text says together with the one that adds most to it, in [0, 1].

        1 for a query that has no words. Never less with further texts, and the same to the last
        bit in any order. Compares a few hundred with all when the first of them is asked for, so
        that whoever stops early saves the rest.

        Args:
            found: What each says, from `found`.
        """
        if not self._words or not found:
            yield from [1.0] * len(found)
            return
        import numpy as np  # not above: profiles know how rare words are, and importing is light

        weights = np.array(self._weights, dtype=np.float64)
        width = -(-len(weights) // 8)
        packed = b"".join(one.to_bytes(width, "little") for one in found)
        bits = np.unpackbits(np.frombuffer(packed, dtype=np.uint8), bitorder="little")
        said = bits.reshape(len(found), -1)[:, : len(weights)].astype(np.float64)
        alone = said @ weights
        for start in range(0, len(found), _ROWS):
            rows = said[start : start + _ROWS]
            both = alone[start : start + _ROWS, None] + alone - (rows * weights) @ said.T
            yield from (one / self._total for one in both.max(axis=1).tolist())


def bm25(query: str, texts: Sequence[str], rarity: Rarity) -> list[float]:
    """How much texts say of a query's words, by how many of these texts have them; at least 0.

    From Robertson and Zaragoza (2009, equation 3.15), with Lucene's inverse document frequencies,
    which are above 0. Where a text repeats the query, it says nothing, see `Echo`.
    """
    echo, asked = Echo(query, rarity), set(beginnings(query))
    counts = [Counter(beginnings(echo.without(text))) for text in texts]
    sizes = [max(1, sum(one.values())) for one in counts]
    mean = sum(sizes) / max(1, len(sizes))
    found = [0.0] * len(texts)
    for word in sorted(asked):
        n_with = sum(word in one for one in counts)
        weight = math.log(1 + (len(texts) - n_with + 0.5) / (n_with + 0.5))
        for place, (one, size) in enumerate(zip(counts, sizes, strict=True)):
            often = one[word]
            found[place] += weight * often / (often + _K1 * (1 - _B + _B * size / mean))
    return found


def _between_spaces(beginning: str) -> str:
    """What a text that says a word contains, except for its marks and at its ends."""
    if UNSPACED.search(beginning):
        return beginning
    return f" {beginning}" if len(beginning) >= LETTERS else f" {beginning} "


def _says(text: str, beginning: str) -> bool:
    """Whether a word of a lower-case text begins so, or, where it is shorter, is exactly that."""
    start, size = text.find(beginning), len(beginning)
    while start >= 0:
        end = start + size
        begins = start == 0 or not _in_word(text[start - 1])
        if begins and (size >= LETTERS or end == len(text) or not _in_word(text[end])):
            return True
        start = text.find(beginning, start + 1)
    return False


def _in_word(character: str) -> bool:
    return character.isalnum() or character == "_"
