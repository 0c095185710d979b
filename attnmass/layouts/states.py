"""What windows of chunks leave behind, read in batches and kept by key."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import torch

from attnmass.capture import KeyValues
from attnmass.layouts.base import Advance, LayoutOptions
from attnmass.layouts.windows import batches
from attnmass.models.out_of_memory import advising_shorter, halving, is_out_of_memory, release
from attnmass.store import ChunkCache
from attnmass.store.formats import frame

Result = TypeVar("Result")
Read = Callable[[Sequence[Sequence[int]]], list[KeyValues]]
States = dict[str, KeyValues]  # what windows left behind, by their keys in the cache


@dataclass
class Text:
    """Tokens that are read together, only once however many windows have them.

    Attributes:
        ids: Token ids.
        n_content: How many of them are the chunk's.
        ends: How many chunks end with it.
    """

    ids: tuple[int, ...]
    n_content: int
    ends: int = 0


class StateReader:
    """Reads texts that are not in a cache, and keeps what they leave behind."""

    def __init__(self, cache: ChunkCache) -> None:
        """Bind to a cache, where what texts leave behind is kept between calls."""
        self._cache = cache
        self._frame: dict[str, tuple[object, ...]] | None = None

    def states(
        self,
        read: Read,
        texts: Mapping[str, Text],
        options: LayoutOptions,
        device: torch.device,
        advance: Advance,
    ) -> tuple[States, int]:
        """What texts leave behind, cached or read now, and how many content tokens were read.

        Args:
            read: Runs token sequences side by side and returns what each leaves behind.
            texts: The texts by their keys.
            options: Bounds on a batch.
            device: Where entries from the folder are put.
            advance: Called with the number of chunks that were read since the last call.
        """
        states: States = {}
        for key, text in texts.items():
            found = self._cache.get(key, device, partial(self._fits, read, text))
            if found is not None:
                states[key] = found
                advance(text.ends)
        missing = {key: text for key, text in texts.items() if key not in states}
        for done in self._read(read, missing, options, states):
            states.update(done)
            advance(sum(texts[key].ends for key in done))
        return states, sum(text.n_content for text in missing.values())

    def warm(
        self,
        read: Read,
        texts: Mapping[str, Text],
        options: LayoutOptions,
        advance: Advance,
    ) -> set[str]:
        """Read the texts that are not in the cache; returns the keys. Arguments as in `states`."""
        missing = {key: text for key, text in texts.items() if not self._cache.has(key)}
        advance(sum(text.ends for key, text in texts.items() if key not in missing))
        for states in self._read(read, missing, options, {}):
            advance(sum(missing[key].ends for key in states))
        return set(missing)

    def _read(
        self, read: Read, texts: Mapping[str, Text], options: LayoutOptions, held: States
    ) -> Iterator[States]:
        # By what they say, so that texts share a batch with the same others in any order, and for
        # every state of a model that computes the same.
        keys = sorted(texts, key=lambda key: tuple(texts[key].ids))
        rows = [texts[key].ids for key in keys]
        for batch in batches([len(row) for row in rows], options):
            with advising_shorter(max(len(rows[i]) for i in batch)):
                done = self.with_room(
                    lambda part: [self._cache.pack(x) for x in read([rows[i] for i in part])],
                    batch,
                    held,
                )
            states = {keys[i]: state for i, state in zip(batch, done, strict=True)}
            self._cache.put(states)
            yield states

    def _fits(self, read: Read, text: Text, found: KeyValues) -> bool:
        """Whether what was found is something that this model might leave for a text."""
        if len(found) != len(text.ids):
            return False
        if frame(found) != self._frame:
            # Not known yet, or from the previous weights; one token tells.
            (state,) = read([text.ids[:1]])
            self._frame = frame(self._cache.pack(state))
        return frame(found) == self._frame

    def with_room(
        self, run: Callable[[Sequence[int]], list[Result]], batch: Sequence[int], held: States
    ) -> list[Result]:
        """Run a batch; where even its parts do not fit, move what is kept to main memory first.

        Args:
            run: Returns one result for each item.
            batch: The items.
            held: What the caller holds on to; moved where memory is too small.
        """
        main = torch.device("cpu")
        try:
            return halving(run, batch)
        except (RuntimeError, MemoryError) as error:
            movable = any(state.device.type != main.type for state in held.values())
            if not is_out_of_memory(error) or not (movable or self._cache.is_off(main)):
                raise
        self._cache.move(main)
        for key in held:
            moved = self._cache.memory.peek(key)
            held[key] = held[key].to(main) if moved is None else moved
            del moved
        release()
        return halving(run, batch)
