"""What a span leans on: the earlier span that attention within the chunk goes to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt


def leaning(
    attention: Mapping[int, npt.NDArray[np.float32]], groups: Mapping[int, Sequence[int]]
) -> dict[int, int]:
    """For each span the earlier one that gets most of its attention.

    Args:
        attention: By the number of a span, in reading order, attention from its tokens to the
            chunk's, averaged over the span's tokens and over heads, `[token]`.
        groups: The tokens of each span.

    Returns:
        By the number of a span that of the one that it leans on, where there is one before it.
    """
    found: dict[int, int] = {}
    earlier: list[int] = []
    for number, row in attention.items():
        if earlier:
            found[number] = max(earlier, key=lambda i: float(row[list(groups[i])].sum()))
        earlier.append(number)
    return found
