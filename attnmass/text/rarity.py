"""What words are recognised by, whatever their endings, and how rare they are."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

# Letters that words are told by: in many languages as good as a stemmer that knows the language
# (McNamee, Nicholas and Mayfield, SIGIR 2009).
LETTERS = 5
# Chinese and Japanese, Thai, Lao, Burmese and Khmer, which put no spaces between words.
UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")
_WORD = re.compile(r"\w+")


def beginnings(text: str) -> list[str]:
    """What each word is recognised by, in the order of the text.

    In scripts that put no spaces between words, that is all pairs of characters.
    """
    found: list[str] = []
    for word in _WORD.findall(text.lower()):
        if UNSPACED.search(word) and len(word) > 1:
            found += [word[i : i + 2] for i in range(len(word) - 1)]
        else:
            found.append(word[:LETTERS])
    return found


@dataclass(frozen=True, slots=True)
class Rarity:
    """How rare words are, judged by some texts.

    Attributes:
        counts: In how many of them each word's beginning occurs.
        n_texts: How many there are.
    """

    counts: Mapping[str, int]
    n_texts: int

    @classmethod
    def of(cls, texts: Iterable[str]) -> Rarity:
        """Count what the texts say."""
        found = [set(beginnings(text)) for text in texts]
        return cls(Counter(one for each in found for one in each), len(found))

    def __call__(self, beginning: str) -> float:
        """Inverse document frequency, above 0."""
        return math.log((self.n_texts + 1) / (self.counts.get(beginning, 0) + 0.5))
