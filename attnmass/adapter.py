"""How an adapter of a framework gets at its ranker; no framework and no torch in here."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from attnmass.cache_options import CACHE_FIELDS, CacheOptions
from attnmass.shared import release, shared_ranker

if TYPE_CHECKING:
    from pathlib import Path

    from typing_extensions import Self

    from attnmass.profiles import HeadProfile
    from attnmass.ranker import AttentionRanker

Result = TypeVar("Result")

_logger = logging.getLogger(__name__)

# Fields that say how a model is loaded, as `shared_ranker` names them too.
LOADING_FIELDS = (
    "device",
    "dtype",
    "profile",
    "heads",
    "revision",
    "cache_dir",
    "local_files_only",
    *CACHE_FIELDS,
)

# What a device may be called; checked before torch is there to ask.
DEVICE = r"^(cpu|cuda|mps|xpu|npu|hpu)(:\d+)?$"


class UsesRanker:
    """A pydantic model that ranks: mixed in beside the framework's own base class.

    The fields are the adapter's: `model`, `on_error` and `LOADING_FIELDS`, and a private `_ranker`.
    """

    if TYPE_CHECKING:
        model: str
        on_error: str
        _ranker: Any

    @classmethod
    def from_ranker(cls, ranker: AttentionRanker, **fields: Any) -> Self:
        """Use a ranker that is there already.

        It is never serialized: what is unpickled, or used after `release`, loads the model that
        `model` names, by default the one that the ranker's head profile names, and reads the same
        heads of it.

        Args:
            ranker: The ranker.
            **fields: Other fields, but none that says how a model is loaded.

        Raises:
            ValueError: If a field is unknown, invalid, or says how a model is loaded.
        """
        return cls._around(ranker, fields, refused=LOADING_FIELDS)

    @classmethod
    def from_model(
        cls,
        model: Any,
        tokenizer: Any,
        *,
        heads: Iterable[tuple[int, int]] | None = None,
        profile: HeadProfile | str | Path | None = None,
        **fields: Any,
    ) -> Self:
        """Use a model that is in memory already, such as the one that a pipeline generates with.

        Args:
            model: A transformers model.
            tokenizer: Its fast tokenizer.
            heads: `(layer, head)` pairs to read, 0-based.
            profile: A head profile, or the path of one, instead of `heads`.
            **fields: As in `from_ranker`, and those of the chunk cache.

        Raises:
            ValueError: As in `from_ranker`, or if options contradict each other.
            UnsupportedModelError: If the model's attention cannot be read.
        """
        from attnmass.ranker import AttentionRanker

        cache = {name: fields[name] for name in CACHE_FIELDS if name in fields}
        ranker = AttentionRanker(model, tokenizer, heads=heads, profile=profile, **cache)
        refused = [name for name in LOADING_FIELDS if name not in CACHE_FIELDS]
        return cls._around(ranker, fields, refused=refused)

    @classmethod
    def _around(
        cls, ranker: AttentionRanker, fields: dict[str, Any], refused: Iterable[str]
    ) -> Self:
        """An adapter of a ranker whose `refused` fields are settled."""
        if clash := [name for name in refused if name in fields]:
            raise ValueError(f"the ranker is loaded already: leave out {', '.join(clash)}")
        found = ranker.profile
        same_weights = len(set(found.weights)) == 1  # else heads alone would not say it all
        heads = found.heads if same_weights else None
        adapter = cls(**{"model": found.model, "heads": heads, **fields})
        adapter._ranker = ranker
        return adapter

    def release(self) -> None:
        """Forget the model; the next use loads it again by its name.

        One that was loaded by name is forgotten for all that share it.
        """
        if self._ranker is None:
            release(self.model)
        self._ranker = None

    def _check_cache(self) -> None:
        """Refuse contradictions before a model is loaded.

        Raises:
            ValueError: As `CacheOptions`.
        """
        CacheOptions(**{name: getattr(self, name) for name in CACHE_FIELDS})

    def _load(self) -> AttentionRanker:
        """The ranker passed in, else the shared one of that name."""
        if self._ranker is not None:
            return self._ranker  # type: ignore[no-any-return]
        return shared_ranker(self.model, **{name: getattr(self, name) for name in LOADING_FIELDS})

    def _or_untouched(self, rank: Callable[[], Result], untouched: Result) -> Result:
        """What `rank` gives; where it fails, under `on_error="passthrough"`, the candidates."""
        try:
            return rank()
        except Exception as error:
            if self.on_error == "raise":
                raise
            message = f"candidates are not reranked: {type(error).__name__}: {error}"
            _logger.warning(message, exc_info=True)
            warnings.warn(message, RuntimeWarning, stacklevel=3)
            return untouched
