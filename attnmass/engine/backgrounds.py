"""A ranker whose chunks are compared with texts of one's own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from attnmass.engine.leaning import Leaner
from attnmass.engine.sharding import Sharding
from attnmass.engine.tally import Tally
from attnmass.engine.trimmer import Trimmer
from attnmass.engine.worker import Worker
from attnmass.errors import UnsupportedModelError
from attnmass.layouts import HoldsAgainst, LayoutOptions
from attnmass.models.ambient import alone
from attnmass.options.checks import check_items
from attnmass.options.keywords import names_nearest
from attnmass.profiles import RelevanceRule
from attnmass.text.segmentation.segment import segment

if TYPE_CHECKING:
    from typing_extensions import Self

LEAST, MOST = 8, 80  # texts: of fewer one decides too much, of more a sample is as good
_ASKED = 16  # sentences of the texts that tell where relevance lies beside them


@names_nearest
class Backgrounds(Sharding):
    """An engine that can compare chunks with texts other than those that ship."""

    @alone
    def with_background(self, texts: Iterable[str]) -> Self:
        """A ranker with this one's model, heads, options and store, and another background.

        Relevance comes from a chunk's mass beside a background of ordinary text. Beside a sample of
        your own corpus, a chunk has to stand out from what you have on the subject anyway. Since
        mass beside other texts is a different number, the rule's constants are moved so that chunks
        that do not answer have the relevance that they had before, on average over sentences of
        the texts that are asked as questions. This ranker is left as it is; `profile.to_json()` of
        the new one is a file that `profile=` takes.

        Args:
            texts: Chunks of the corpus, at least 8 different ones; from more than 80 a sample is
                taken, the same for the same texts.

        Raises:
            UnsupportedModelError: If the layout has no background, or the profile no rule for
                relevance.
            ValueError: If there are too few texts.
            TypeError: If they are not strings.
        """
        rule, layout = self._profile.relevance, self._layout
        if rule is None or not isinstance(layout, HoldsAgainst):
            raise UnsupportedModelError(
                f"the profile of {self._profile.model or 'this model'} for the layout "
                f"{self._profile.layout!r} has no rule for relevance, so there is nothing "
                "to measure against a background: use the layout 'late' with a profile "
                "that has one"
            )
        sample = _sample(texts)
        made = copy(self)
        other = layout.against(self._plain.content(sample))
        made._layout, made._tally, made._worker = other, Tally(), Worker()
        shift = self._shift(layout, other, sample, rule)
        made._profile = replace(self._profile, background=sample, relevance=rule.moved(shift))
        leaner = Leaner(made._profile, other, self._lock)
        made._trimmer = Trimmer(made._profile, self._plain, leaner)
        return made

    def _shift(
        self, layout: HoldsAgainst, other: HoldsAgainst, texts: Sequence[str], rule: RelevanceRule
    ) -> float:
        """What log-odds beside the other layout's background, these texts, lie below the first's.

        The mean over some of the texts, whose longest sentence is asked, and all others as chunks.
        """
        asked = {place: one for place, text in enumerate(texts) if (one := _sentence(text))}
        places = list(asked)[:: max(1, len(asked) // _ASKED)][:_ASKED]
        queries = self._plain.content([asked[place] for place in places])
        chunks = self._plain.content(texts)
        heads = [self._profile.all_heads.index(head) for head in rule.heads]

        def mean(beside: HoldsAgainst) -> float:
            looked = beside.over(other.company())
            # In the same batches as the background, whose vectors these are.
            found = looked.attend(queries, chunks, LayoutOptions(), lambda _: None)
            return float(
                np.mean(
                    [
                        rule.logit(masses)
                        for place, attention in zip(places, found.queries, strict=True)
                        if attention.beside is not None
                        for chunk, masses in enumerate(attention.beside.chunks[:, heads].tolist())
                        if chunk != place
                    ]
                )
            )

        with self._lock:
            return mean(layout) - mean(other)


def _sample(texts: Iterable[str]) -> tuple[str, ...]:
    """Different texts with something in them, evenly spread over those that there are."""
    listed = list(texts) if not isinstance(texts, str) else [texts]
    check_items("texts", listed, str, instead="a list of texts")
    found = list(dict.fromkeys(text for text in listed if text.strip()))
    if len(found) < LEAST:
        raise ValueError(
            f"a background needs at least {LEAST} different texts, not {len(found)}: pass more "
            "chunks of your corpus"
        )
    count = min(len(found), MOST)
    return tuple(found[i * len(found) // count] for i in range(count))


def _sentence(text: str) -> str | None:
    """The longest sentence of a text."""
    found = [text[span.start : span.end] for span in segment(text)]
    return max(found, key=len, default=None)
