"""What a caller should know of a result, in sentences."""

from __future__ import annotations

DISTANCES = (
    "the retrieval scores rise from the first chunk to the last and are taken for distances in the "
    "order, but not in evidence: pass retrieval_kind='distance', or 'similarity'"
)


def notes_on(n_windows: dict[int, int], skipped: dict[int, str]) -> tuple[str, ...]:
    """What a caller should know of chunks that were split, by their windows, or not read, and why.

    Args:
        n_windows: Windows of each chunk that was read, by input index.
        skipped: Why the others were not.
    """
    split = [
        f"chunks[{index}] was longer than the model's window and read in {count} parts"
        for index, count in n_windows.items()
        if count > 1
    ]
    return (*split, *(f"chunks[{index}] was not scored: {why}" for index, why in skipped.items()))
