"""What was captured of all queries, as arrays that heads are selected on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from attnmass.fitting.metrics import Bools, Floats, Integers, ndcg_at_10
from attnmass.profiles.rules import log_relative


@dataclass(frozen=True, eq=False, slots=True)
class Arrays:
    """Masses and labels of all queries, padded to the largest number of chunks.

    Attributes:
        masses: Attention mass, `[query, head, chunk]`; 0 where there is no chunk.
        relevant: Labels, `[query, chunk]`; 0 where there is no chunk.
        present: Where there is a chunk, `[query, chunk]`.
        lexical: BM25 of each chunk, `[query, chunk]`.
        sets: Which set each query belongs to, `[query]`; sets are weighted equally.
    """

    masses: Floats
    relevant: Floats
    present: Bools
    lexical: Floats
    sets: Integers

    @classmethod
    def stack(
        cls,
        masses: Sequence[Floats],
        relevant: Sequence[Sequence[float]],
        lexical: Sequence[Floats],
        sets: Sequence[int],
    ) -> Arrays:
        """Pad what was captured of each query.

        Args:
            masses: `[head, chunk]` of each query.
            relevant: Its labels.
            lexical: BM25 of its chunks.
            sets: Its set.
        """
        most = max(len(labels) for labels in relevant)
        shape = (len(relevant), most)
        padded = cls(
            np.zeros((len(relevant), len(masses[0]), most), dtype=np.float32),
            np.zeros(shape),
            np.zeros(shape, dtype=bool),
            np.zeros(shape),
            np.asarray(sets, dtype=np.int64),
        )
        for row, (mass, labels, words) in enumerate(zip(masses, relevant, lexical, strict=True)):
            n = len(labels)
            padded.masses[row, :, :n] = mass
            padded.relevant[row, :n] = labels
            padded.present[row, :n] = True
            padded.lexical[row, :n] = words
        return padded


def features(arrays: Arrays) -> Floats:
    """Logarithm of each mass over its head's mean, as in `RankRule`, `[query, head, chunk]`."""
    found = np.zeros(arrays.masses.shape, dtype=np.float32)
    for row, there in enumerate(arrays.present):
        for head, masses in enumerate(arrays.masses[row][:, there]):
            found[row, head, there] = log_relative(masses.tolist())
    return found


@dataclass(frozen=True, slots=True)
class Choice:
    """Heads and their weights.

    Attributes:
        heads: Indices of heads in the arrays.
        weights: One for each; they sum to 1.
    """

    heads: tuple[int, ...]
    weights: tuple[float, ...]

    @classmethod
    def equal(cls, heads: Sequence[int]) -> Choice:
        """All weighted equally."""
        return cls(tuple(map(int, heads)), (1 / len(heads),) * len(heads))


@dataclass(eq=False, slots=True)
class Quality:
    """nDCG@10 of choices on every query; what was computed once is remembered.

    Attributes:
        arrays: What was captured.
    """

    arrays: Arrays
    _known: dict[tuple[tuple[int, float], ...], Floats] = field(default_factory=dict)
    _alone: Floats | None = None

    def of_choice(self, choice: Choice) -> Floats:
        """nDCG@10 by the heads' weighted mass, `[query]`."""
        key = tuple(sorted(zip(choice.heads, choice.weights, strict=True)))
        if key not in self._known:
            heads, weights = [head for head, _ in key], np.array([weight for _, weight in key])
            mixed = np.einsum("qhc,h->qc", self.arrays.masses[:, heads].astype(np.float64), weights)
            self._known[key] = self.of_scores(mixed)
        return self._known[key]

    def of_heads(self, heads: Sequence[int]) -> Floats:
        """The same with all heads weighted equally."""
        return self.of_choice(Choice.equal(heads))

    def of_scores(self, scores: Floats) -> Floats:
        """nDCG@10 of any scores, `[query, chunk]` to `[query]`."""
        return ndcg_at_10(self.arrays.relevant, scores, self.arrays.present)

    @property
    def alone(self) -> Floats:
        """nDCG@10 of each head alone, `[head, query]`."""
        if self._alone is None:
            heads = range(self.arrays.masses.shape[1])
            self._alone = np.stack([self.of_scores(self.arrays.masses[:, head]) for head in heads])
        return self._alone
