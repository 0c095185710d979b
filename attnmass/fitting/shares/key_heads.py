"""Which key heads a layout that keeps key vectors should keep: their number sets a chunk's bytes.

Heads of a grouped-query model share key vectors, so what counts is not how many heads are read but
how many key heads they look at. Those that move scores least are dropped first, with all the heads
on one key head together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from attnmass.fitting.captures.arrays import Arrays, features
from attnmass.fitting.metrics import Floats, Integers, ndcg_at_10, query_weights
from attnmass.fitting.shares.ranking import Exponents, eliminate
from attnmass.profiles.rules import Head

MOST = 6  # key heads of a profile
_LEAST = 2


def choose_key_heads(
    arrays: Arrays,
    folds: Integers,
    heads: Integers,
    groups: Sequence[int],
    most: int = MOST,
    advance: Callable[[], object] = lambda: None,
) -> Integers:
    """The heads on those key heads, `most` of them or fewer, that rank best.

    How many is decided on folds. `most` bounds what they cost, so more of them are taken wherever
    they are better, not only where that is certain.

    Args:
        arrays: What was captured.
        folds: The fold of each query, `[query]`; the number is decided on queries of other folds.
        heads: Indices of the heads that may be chosen.
        groups: For each head of the arrays, the number of its key head.
        most: No more key heads than this.
        advance: Called once for each elimination.

    Returns:
        Indices of all allowed heads on the chosen key heads.
    """
    there = len({groups[head] for head in heads})
    counts = [count for count in range(_LEAST, most + 1) if count < there]
    if not counts:
        return heads
    found = features(arrays)

    def paths(rows: Integers) -> dict[int, Exponents]:
        rules = eliminate(
            found[rows],
            (arrays.relevant[rows] > 0) & arrays.present[rows],
            arrays.present[rows],
            arrays.sets[rows],
            [int(head) for head in heads],
            counts,
            groups,
        )
        advance()
        return rules

    everything = np.arange(len(folds))
    values: dict[int, Floats] = {count: np.empty(len(folds)) for count in counts}
    for fold in np.unique(folds):
        rules, mine = paths(everything[folds != fold]), folds == fold
        for count in counts:
            rule = rules[count]
            logits = np.einsum("qhc,h->qc", found[mine][:, list(rule.heads)], rule.exponents)
            values[count][mine] = ndcg_at_10(arrays.relevant[mine], logits, arrays.present[mine])
    weights = query_weights(arrays.sets)
    best = max(counts, key=lambda count: float(values[count] @ weights))
    chosen = paths(everything)[best].heads
    kept = {groups[head] for head in chosen}
    return np.array([head for head in heads if groups[head] in kept], dtype=np.int64)


def numbered(keys: Sequence[Head]) -> list[int]:
    """The key head of each head as a number."""
    known = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    return [known[key] for key in keys]
