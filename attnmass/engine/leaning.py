"""What the spans of chunks lean on, as the model sees it inside each chunk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from attnmass.engine.forking import ForkLock
from attnmass.layouts import Layout, LayoutOptions
from attnmass.profiles import HeadProfile
from attnmass.scoring.masses import token_masses
from attnmass.scoring.ranked import RankedChunk
from attnmass.text.inputs import Inputs
from attnmass.text.segmentation import Segment
from attnmass.text.tokens import Tokens
from attnmass.trimming import Leaning, ScoredText, leaning, tokens_of

_LARGEST_LOAD = 2**26  # numbers, of four bytes


@dataclass(frozen=True, slots=True)
class Leaner:
    """Looks inside chunks for one ranker.

    Attributes:
        profile: The heads that are read.
        layout: What reads them.
        lock: Held while the model is used, and only then.
    """

    profile: HeadProfile
    layout: Layout
    lock: ForkLock

    def leaning(
        self,
        chunks: Sequence[RankedChunk],
        scored: Mapping[int, ScoredText],
        inputs: Inputs,
        options: LayoutOptions,
    ) -> Mapping[int, Leaning]:
        """For each chunk what its spans lean on, by attention inside the chunk."""
        groups = {
            chunk.index: _groups(
                inputs.tokens[chunk.index],
                scored[chunk.index].segments,
                inputs.start(chunk.index),
            )
            for chunk in chunks
        }
        groups = {i: mine for i, mine in groups.items() if len(mine) > 1}
        weights = self.profile.context_weights
        found: dict[int, dict[int, int]] = {i: {} for i in groups}
        widths = {i: len(weights) * len(inputs.tokens[i]) for i in groups}
        for load in _loads(groups, widths):
            with self.lock:
                looked = self.layout.within(
                    [inputs.tokens[i] for i, _ in load],
                    [[groups[i][number] for number in numbers] for i, numbers in load],
                    options,
                )
            for (i, numbers), attention in zip(load, looked, strict=True):
                rows = (token_masses(each, weights).numpy() for each in attention)
                found[i] |= leaning(dict(zip(numbers, rows, strict=True)), groups[i])
        return found


def _loads(
    groups: Mapping[int, Mapping[int, object]], widths: Mapping[int, int]
) -> Iterator[list[tuple[int, list[int]]]]:
    """Spans of chunks in parts whose attention can be held at once, by `widths` for each span."""
    load: list[tuple[int, list[int]]] = []
    size = 0
    for i, mine in groups.items():
        numbers, most = list(mine), max(1, _LARGEST_LOAD // widths[i])
        for start in range(0, len(numbers), most):
            part = numbers[start : start + most]
            if load and size + len(part) * widths[i] > _LARGEST_LOAD:
                yield load
                load, size = [], 0
            load.append((i, part))
            size += len(part) * widths[i]
    if load:
        yield load


def _groups(tokens: Tokens, segments: Sequence[Segment], start: int) -> dict[int, list[int]]:
    """The tokens of each span that has some; headings, which come along anyway, left out."""
    body = {i: (span.start, span.end) for i, span in enumerate(segments) if span.kind != "heading"}
    offsets = np.array(tokens.offsets, dtype=np.int64)
    groups = zip(body, tokens_of(offsets, start, list(body.values())), strict=True)
    return {i: group for i, group in groups if group}
