"""How a framework's adapter gets its ranker; no framework and no torch in here."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

from pydantic import model_validator
from typing_extensions import Self

from attnmass.adapters.fields import RankerFields
from attnmass.adapters.reloading import settled_by
from attnmass.adapters.remote import REMOTE_FIELDS, check_fields, options_of
from attnmass.adapters.settled import Settled, digest_of, is_settled, number_of, settle
from attnmass.adapters.shared import ranker_in_memory, release, shared_ranker
from attnmass.options.cache import CacheOptions
from attnmass.options.fields import (
    CACHE_FIELDS,
    CONSTRUCTOR_FIELDS,
    LOADING_FIELDS,
    NO_MATTER,
    SELECTION_FIELDS,
    TRIM_DETAILS,
    TRIM_FIELDS,
)
from attnmass.options.fitting import check_fit_texts
from attnmass.options.readings import check_reading
from attnmass.options.renamed import check_names
from attnmass.options.urls import is_url
from attnmass.results.errors import NoEvidenceError
from attnmass.results.stats import RankerStats, WarmResult

if TYPE_CHECKING:
    from pathlib import Path

    from attnmass.client.remote import RemoteRanker
    from attnmass.profiles import HeadProfile
    from attnmass.ranker import AttentionRanker
    from attnmass.results.ranking import Ranking
    from attnmass.text.chunk import Chunk
    from attnmass.trimming import Render, Trim

Result = TypeVar("Result")

_logger = logging.getLogger(__name__)


class UsesRanker(RankerFields):
    """What ranks in an adapter: mixed in beside the framework's own base class."""

    # The fields that only say how to trim.
    _TRIM_DETAILS: ClassVar[tuple[str, ...]] = TRIM_DETAILS

    @classmethod
    def from_ranker(cls, ranker: AttentionRanker | RemoteRanker, **fields: Any) -> Self:
        """Use a ranker that you already have.

        It is never serialized: what is unpickled, or used after `release`, loads the model that
        `model` names, by default the one that the ranker's head profile names, and reads it in the
        same way, with the same head profile, layout and `options`.

        Args:
            ranker: The ranker.
            **fields: Other fields, except those that say how a model is loaded.

        Raises:
            ValueError: If a field is unknown, invalid, or says how a model is loaded.
        """
        return cls._around(ranker, fields, refused=(*LOADING_FIELDS, *REMOTE_FIELDS))

    @classmethod
    def from_model(
        cls,
        model: Any,
        tokenizer: Any = None,
        *,
        heads: Iterable[tuple[int, int]] | Literal["all"] | None = None,
        profile: HeadProfile | str | Path | None = None,
        fit_texts: str | Path | Sequence[str | Path] | None = None,
        **fields: Any,
    ) -> Self:
        """Use a model that is already in memory, such as the one that a pipeline generates with.

        Args:
            model: A transformers model, or a `CrossEncoder`.
            tokenizer: Its fast tokenizer, unless it brings its own; not the field of that name, the
                reader's, which can be set on what is returned.
            heads: `(layer, head)` pairs to read, 0-based.
            profile: A head profile, the path of one, or `"fit"`, instead of `heads`.
            fit_texts: What `profile="fit"` fits on, as in `AttentionRanker`.
            **fields: As in `from_ranker`, and those that say how the model is read, and where what
                was read is kept.

        Raises:
            ValueError: As in `from_ranker`, or if options contradict each other.
            UnsupportedModelError: If the model's attention cannot be read.
        """
        from attnmass.ranker import AttentionRanker

        check_names(cls, fields, cls.model_fields)
        options = {name: fields[name] for name in CONSTRUCTOR_FIELDS if name in fields}
        ranker = AttentionRanker(
            model, tokenizer, heads=heads, profile=profile, fit_texts=fit_texts, **options
        )
        refused = [name for name in LOADING_FIELDS if name not in CONSTRUCTOR_FIELDS]
        return cls._around(ranker, fields, refused=refused)

    @classmethod
    def from_generator(cls, generator: Any, *, tokenizer: Any = None, **options: Any) -> Self:
        """Use the very model that a pipeline generates with; nothing in it is changed.

        Args:
            generator: As in `AttentionRanker.from_generator`.
            tokenizer: Likewise.
            **options: As in `from_model`.

        Raises:
            UnsupportedModelError: If there is no model in it, or its attention cannot be read.
            ValueError: If there is no tokenizer, and as in `from_model`.
        """
        from attnmass.models.generators import find_generator

        check_names(cls, options, cls.model_fields)
        model, tokenizer = find_generator(generator, tokenizer)
        return cls.from_model(model, tokenizer, **options)

    @classmethod
    def _around(
        cls,
        ranker: AttentionRanker | RemoteRanker,
        fields: dict[str, Any],
        refused: Iterable[str],
    ) -> Self:
        """An adapter around a ranker, which settles the `refused` fields."""
        settled = settled_by(ranker)
        if clash := [name for name in refused if name in fields]:
            raise ValueError(f"the ranker is loaded already: leave out {', '.join(clash)}")
        adapter = cls(**{**settled, **fields})
        adapter._ranker = ranker
        return adapter

    @property
    def last_ranking(self) -> Ranking | None:
        """The ranking of the last call, for its `explain`; `None` without `keep_ranking`.

        Its indices count the candidates that have text. A call that had nothing to rank leaves the
        one before; with calls in several threads, it is that of the last to end. Not serialized.
        """
        return self._last_ranking if self.keep_ranking else None

    @property
    def stats(self) -> RankerStats | None:
        """What its ranker has done since it was built, for all that share it; `None` before.

        A server is asked what its ranker has done.
        """
        ranker = self._load() if is_url(self.model) else self._ranker
        if ranker is None:
            ranker = ranker_in_memory(self.model, **options_of(self))
        return None if ranker is None else ranker.stats

    def release(self) -> None:
        """Forget the model; the next use loads it again by its name.

        A model that was loaded by name is forgotten for all that share it.
        """
        if self._ranker is None:
            release(self.model)
        self._ranker = None

    def _load(self) -> AttentionRanker | RemoteRanker:
        """The ranker passed in, else the shared one of that name."""
        if self._ranker is not None:
            return self._ranker  # type: ignore[no-any-return]
        return shared_ranker(self.model, **options_of(self))

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        """Refuse options that contradict each other, before a model is loaded.

        Raises:
            ValueError: Naming the option and what to set instead.
            TypeError: If `tokenizer` or `embed_model` is not one.
        """
        if self.profile is not None and self.heads is not None:
            raise ValueError("pass profile or heads, not both")
        check_fit_texts(self.profile, self.fit_texts)
        check_fields(self)
        check_reading(self.reading, self.layout)
        CacheOptions(**{name: getattr(self, name) for name in CACHE_FIELDS})
        if self._trim() is not None:
            return self
        fields = type(self).model_fields
        idle = [name for name in self._TRIM_DETAILS if getattr(self, name) != fields[name].default]
        if idle:
            raise ValueError(
                f"without trimming there is no use for {', '.join(idle)}: set {TRIM_FIELDS[0]}, "
                f"{TRIM_FIELDS[1]} or {TRIM_FIELDS[2]} as well, or leave out {', '.join(idle)}"
            )
        return self

    def _trim(self, default: Callable[[], Any] = lambda: None) -> Trim | None:
        """What is asked of trimming; `None` where it is not asked for.

        Args:
            default: Gives the counter where no `tokenizer` is set; `None` is the ranking model's.
        """
        if all(getattr(self, name) is None for name in TRIM_FIELDS):
            return None
        from attnmass.trimming import TokenCounter, Trim

        tokenizer = default() if self.tokenizer is None else self.tokenizer
        counted = self._counted
        if counted is None or counted[0] is not tokenizer:  # it may copy a whole vocabulary
            counted = (tokenizer, None if tokenizer is None else TokenCounter(tokenizer))
            self._counted = counted
        options = {name: getattr(self, name) for name in (*TRIM_FIELDS, *TRIM_DETAILS)}
        return Trim(**{**options, "tokenizer": counted[1]})

    def _rank_chunks(
        self,
        query: str,
        chunks: Sequence[Chunk],
        scores: Sequence[float | None],
        trim: Trim | None,
        render: Render | None,
        place: Callable[[int], tuple[str | None, int | None]],
    ) -> Ranking:
        """`AttentionRanker.rank` with the adapter's options; `place` as in `with_places`."""
        ranking = self._load().rank(
            query,
            chunks,
            **{name: getattr(self, name) for name in SELECTION_FIELDS} | {"top_n": self._n_best},
            retrieval_scores=scores,
            trim=trim,
            render=render,
            batch_size=self.batch_size,
            progress=self.show_progress or None,
        )
        self._last_ranking = ranking.with_places(place) if self.keep_ranking else None
        return ranking

    def _warm_chunks(self, chunks: Sequence[Chunk]) -> WarmResult:
        """`AttentionRanker.warm` with the adapter's options; no chunks need no model."""
        if not chunks:
            return WarmResult(read=0, skipped=0, unreadable=0, evicted=0)
        progress = self.show_progress or None
        return self._load().warm(chunks, batch_size=self.batch_size, progress=progress)

    def _settle(self, query: str, results: Sequence[Settled], n_tokens: int | None) -> None:
        """Remember what came of a request, for `_is_settled`.

        Args:
            query: The query.
            results: In order.
            n_tokens: How many tokens they take, which also tells one tokenizer from another.
        """
        settle(self._request(query, results, n_tokens))

    def _is_settled(
        self,
        query: str,
        results: Sequence[Settled],
        count: Callable[[], int | None],
    ) -> bool:
        """Whether the candidates are what this very call would give, since it gave them before.

        Args:
            query: The query.
            results: As in `_settle`.
            count: Gives how many tokens they take, as in `_settle`.
        """
        if not results or not all(isinstance(written, str) for *_, written in results):
            return False  # candidates not trimmed yet, perhaps of the same texts
        return is_settled(self._request(query, results, count()))

    def _request(self, query: str, results: Sequence[Settled], n_tokens: int | None) -> str:
        options = self.model_dump(exclude=NO_MATTER)
        if self.embed_model is not None:  # what it says about itself may be anything
            options["embed_model"] = number_of(self.embed_model)
        return digest_of(query, options, self._load(), results, n_tokens)

    def _or_untouched(self, rank: Callable[[], Result], untouched: Result) -> Result:
        """What `rank` gives; where it fails, with `on_error="passthrough"`, the candidates.

        That there is no evidence is an answer, not a failure, and is raised all the same.
        """
        try:
            return rank()
        except NoEvidenceError:
            raise
        except Exception as error:
            if self.on_error == "raise":
                raise
            message = f"candidates are not reranked: {type(error).__name__}: {error}"
            _logger.warning(message, exc_info=True)
            warnings.warn(message, RuntimeWarning, stacklevel=3)
            return untouched
