"""What a span leans on: the earlier span that attention within the chunk goes to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt


def leaning(
    attention: Mapping[int, npt.NDArray[np.float32]], groups: Mapping[int, Sequence[int]]
) -> dict[int, int]:
    """For each span, the earlier one that gets most of its attention.

    Args:
        attention: By the number of a span, attention from its tokens to the chunk's, averaged over
            the span's tokens and over heads, `[token]`.
        groups: The tokens of each span that counts, in reading order, none empty.

    Returns:
        By the number of a span, that of the one that it leans on, where one before it gets any.
    """
    numbers = list(groups)
    tokens = np.array([token for group in groups.values() for token in group], dtype=np.int64)
    starts = np.cumsum([0, *map(len, groups.values())])
    found: dict[int, int] = {}
    for place, number in enumerate(numbers):
        if place == 0 or number not in attention:
            continue
        row = attention[number][tokens[: starts[place]]]
        masses = np.add.reduceat(row, starts[:place])
        best = int(masses.argmax())
        if masses[best] > 0:
            found[number] = numbers[best]
    return found
