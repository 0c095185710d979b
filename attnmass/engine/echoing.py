"""Which tokens of which chunks only repeat the question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from attnmass.profiles.texts import ordinary_rarity
from attnmass.text.echo import Echo
from attnmass.text.inputs import Inputs
from attnmass.text.prompt import chunk_text
from attnmass.trimming import tokens_of


def echoes(query: str, inputs: Inputs) -> Mapping[int, Sequence[int]]:
    """The tokens that do not count, by the place of their chunk among the distinct ones.

    All of its tokens, where a chunk says nothing besides the question.
    """
    echo = Echo(query, ordinary_rarity())
    found: dict[int, Sequence[int]] = {}
    for index, place in inputs.places.items():
        if place in found:
            continue
        text = chunk_text(inputs.chunks[index])
        places = echo.places(text)
        if places == [(0, len(text))]:
            found[place] = range(len(inputs.tokens[index]))  # those without characters, too
        elif places:
            offsets = np.array(inputs.tokens[index].offsets, dtype=np.int64)
            groups = tokens_of(offsets, 0, places)
            found[place] = sorted({token for group in groups for token in group})
    return {place: tokens for place, tokens in found.items() if tokens}
