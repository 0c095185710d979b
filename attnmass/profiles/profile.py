"""The profile itself, its file format, and the choice of one for a model."""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import resources
from numbers import Integral
from pathlib import Path
from typing import Any, Literal, get_args

from attnmass.checks import check_items, check_path, check_share
from attnmass.naming import is_unnamed, unnamed
from attnmass.profiles.published import is_named, published_lists
from attnmass.profiles.rules import (
    EvidenceRule,
    Head,
    RankRule,
    SpanRule,
    check_heads,
    check_weights,
)
from attnmass.prompt import PROMPT_VERSION

# On configs of our own that were cut: how many layers the model has when it is whole.
FULL_DEPTH = "attnmass_full_depth"

# Which way the pointwise layout reads attention, see `attnmass.layouts.pointwise`.
Direction = Literal["query_to_chunk", "chunk_to_query", "both"]
_JOINT = "joint"

_SHAPE = (
    "model_type",
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "intermediate_size",
    "max_position_embeddings",
)

# What configs call these numbers, by whether the model is an encoder-decoder.
_DEPTHS: Mapping[bool, Sequence[str]] = {
    False: ("num_hidden_layers",),
    True: ("num_decoder_layers", "decoder_layers", "num_hidden_layers"),
}
_HEAD_COUNTS: Mapping[bool, Sequence[str]] = {
    False: ("num_attention_heads",),
    True: ("decoder_attention_heads", "num_heads", "num_attention_heads"),
}


@dataclass(frozen=True, slots=True)
class HeadProfile:
    """The selected heads of one model in one layout.

    Attributes:
        model: The model that the heads belong to.
        layout: The layout that they were selected in.
        heads: `(layer, head)`, 0-based, in the model's own numbering.
        weights: One for each head; they sum to 1.
        fingerprint: Of the model's config, see `fingerprint`; `None` fits any model.
        prompt_version: Of the wording that the heads were selected with.
        source: `"fitted"`, `"default"` or `"user"`, or a citation.
        fitted_on: The data that selected the heads.
        measured: Scores on data that did not select them.
        ranking: How the mass that `heads` give all chunks is shared out among them; default: each
            chunk has its own.
        spans: How spans are scored; default: by the heads that rank chunks.
        evidence: How much was found; default: by the largest mass of a chunk alone, no threshold.
        context: `(layer, head)` pairs that look from a sentence at the earlier one that it leans
            on; default: those that rank chunks.
        direction: Which way attention is read in the pointwise layout; default: the layout's own.
        null_query: Whether what a null query pays the chunks is subtracted, in the joint layout.
        support_threshold: Less support than this in the chunks is none for a sentence of an answer,
            see `attnmass.attribution.AnswerSentence`; `None` where no data set one.
    """

    model: str
    layout: str
    heads: tuple[Head, ...]
    weights: tuple[float, ...]
    fingerprint: str | None = None
    prompt_version: int = PROMPT_VERSION
    source: str = "user"
    fitted_on: str = ""
    measured: Mapping[str, Any] = field(default_factory=dict, hash=False)
    ranking: RankRule | None = None
    spans: SpanRule | None = None
    evidence: EvidenceRule = field(default_factory=EvidenceRule)
    context: tuple[Head, ...] = ()
    direction: Direction | None = None
    null_query: bool = False
    support_threshold: float | None = None

    def __post_init__(self) -> None:
        check_direction(self.direction)
        check_share("support_threshold", self.support_threshold, optional="none")
        if not isinstance(self.null_query, bool):
            raise TypeError(f"null_query must be True or False, not {self.null_query!r}")
        if self.null_query and self.layout != _JOINT:
            raise ValueError(f"null_query is for layout 'joint', not {self.layout!r}: leave it out")
        check_weights(self.heads, self.weights)
        check_heads(self.context)

    @property
    def span_rule(self) -> SpanRule:
        """`spans`, or what stands for it."""
        return self.spans or SpanRule(self.heads, self.weights)

    @property
    def all_heads(self) -> tuple[Head, ...]:
        """Every head that is read: those that rank chunks, then those for all else."""
        ranking = () if self.ranking is None else self.ranking.heads
        others = (*ranking, *self.span_rule.heads, *self.context, *self.evidence.heads)
        return tuple(dict.fromkeys([*self.heads, *others]))

    @property
    def last_layer(self) -> int:
        """The layer to stop at, 0-based."""
        return max(layer for layer, _ in self.all_heads)

    @property
    def chunk_weights(self) -> tuple[float, ...]:
        """The weight of each of `all_heads` in a chunk's mass."""
        return self._spread(self.heads, self.weights)

    @property
    def span_weights(self) -> tuple[float, ...]:
        """The weight of each of `all_heads` in a span's mass."""
        return self._spread(self.span_rule.heads, self.span_rule.weights)

    @property
    def context_weights(self) -> tuple[float, ...]:
        """The weight of each of `all_heads` in what a sentence leans on."""
        heads = self.context or self.heads
        return self._spread(heads, [1 / len(heads)] * len(heads))

    def _spread(self, heads: Sequence[Head], weights: Sequence[float]) -> tuple[float, ...]:
        known = dict(zip(heads, weights, strict=True))
        return tuple(known.get(head, 0.0) for head in self.all_heads)

    @classmethod
    def from_heads(
        cls, heads: Iterable[tuple[int, int]], *, model: str, layout: str, **fields: Any
    ) -> HeadProfile:
        """Equal weights over `(layer, head)` pairs.

        Raises:
            TypeError: If they are none.
            ValueError: As the constructor.
        """
        if not isinstance(heads, str) and isinstance(heads, Iterable):
            heads = list(heads)
        check_items("heads", heads, object, instead="pairs such as [(3, 0), (5, 2)]")
        for pair in heads:
            check_items("a head", pair, Integral, instead="its layer and head, such as (3, 0)")
        pairs = tuple((int(layer), int(head)) for layer, head in heads)
        weights = tuple(1 / len(pairs) for _ in pairs)
        return cls(model, layout, pairs, weights, **fields)

    def to_json(self) -> str:
        """The profile as its file holds it; `load_profile` reads it back."""
        data = asdict(self) | {"stop_layer": self.last_layer}
        return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


class ProfileMismatchError(ValueError):
    """A profile that is for another model."""


def check_direction(direction: str | None) -> None:
    """Raise `ValueError` unless attention can be read that way; `None` is the layout's own."""
    if direction is not None and direction not in get_args(Direction):
        raise ValueError(f"direction must be one of {get_args(Direction)}, not {direction!r}")


def choose_profile(
    config: Any,
    layout: str,
    *,
    profile: HeadProfile | str | Path | None = None,
    heads: Iterable[tuple[int, int]] | Literal["all"] | None = None,
) -> HeadProfile:
    """The heads to read of a model: what the user says, else what ships, else a default.

    In the joint layout what is no profile has a null query subtracted, as in-context re-ranking
    does; all heads of it are that algorithm as published (arXiv 2410.02642).

    Args:
        config: The model's config (of its text part).
        layout: The layout that they are for.
        profile: A profile or the path of one.
        heads: `(layer, head)` pairs, weighed alike, or `"all"`.

    Raises:
        ValueError: If both are given, the profile is of another layout or model, or the model has
            no such heads.
    """
    if profile is not None and heads is not None:
        raise ValueError("pass profile or heads, not both")
    if heads is not None:
        if isinstance(heads, str):
            if heads != "all":
                raise ValueError(f"heads must be (layer, head) pairs or 'all', not {heads!r}")
            heads = every_head(config)
        chosen = HeadProfile.from_heads(
            heads, model=_name(config), layout=layout, null_query=layout == _JOINT
        )
        _check_heads(chosen, config)
        return chosen
    if profile is None:
        found = packaged_profile(config, layout)
        if found is not None:
            return found
        warnings.warn(
            f"no head profile ships for this {config.model_type} model, so all heads of its middle "
            "layers are read, which ranks worse than a few selected ones. To select them on a few "
            f"dozen labelled queries: attnmass fit DATA.jsonl --model {_to_type(config)} "
            f"--layout {layout} --out FILE.json, then pass profile='FILE.json'.",
            UserWarning,
            stacklevel=5,
        )
        return default_profile(config, layout)
    found = profile if isinstance(profile, HeadProfile) else load_profile(profile)
    if found.layout != layout:
        raise ValueError(f"the profile is for layout {found.layout!r}, not {layout!r}")
    if found.fingerprint is not None and found.fingerprint != fingerprint(config):
        raise ProfileMismatchError(
            f"the profile is for {found.model} (fingerprint {found.fingerprint}), not for this "
            f"{config.model_type} model (fingerprint {fingerprint(config)})"
        )
    _check_heads(found, config)
    if found.prompt_version != PROMPT_VERSION:
        warnings.warn(
            f"the profile's heads were selected with version {found.prompt_version} of the prompt, "
            f"and this is version {PROMPT_VERSION}: select them anew",
            UserWarning,
            stacklevel=5,
        )
    return found


def load_profile(path: str | os.PathLike[str]) -> HeadProfile:
    """Read a profile from its JSON file.

    Raises:
        ValueError: If the file is no profile; names the file and what is wrong.
        TypeError: If that is no path.
    """
    check_path("path", path)
    return _parse(Path(path).read_text(encoding="utf-8"), str(path))


def packaged_profile(config: Any, layout: str) -> HeadProfile | None:
    """The profile that ships for a model with this config, or `None`.

    A fitted one is known by the fingerprint. Of published lists of heads, whose authors do not say
    that, the first is taken whose model's name is in what the model was loaded from.
    """
    wanted = fingerprint(config)
    shipped = packaged_profiles().values()
    for profile in shipped:
        if profile.layout == layout and profile.fingerprint == wanted:
            return profile
    for profile in shipped:
        if profile.layout == layout and profile.fingerprint is None:
            deep, wide = full_depth(config), head_count(config)
            fits = all(la < deep and he < wide for la, he in profile.heads)
            if fits and is_named(_name(config), profile.model):
                return profile
    return None


def packaged_profiles() -> dict[str, HeadProfile]:
    """All profiles that ship, by name, such as `smollm2-135m.parallel`: fitted, then published."""
    entries = sorted(resources.files(__package__).iterdir(), key=lambda entry: entry.name)
    fitted = {
        entry.name.removesuffix(".json"): _parse(entry.read_text(encoding="utf-8"), entry.name)
        for entry in entries
        if entry.name.endswith(".json")
    }
    lists = published_lists()
    return fitted | {name: HeadProfile.from_heads(**found) for name, found in lists.items()}


def default_profile(config: Any, layout: str) -> HeadProfile:
    """All heads of the layers between 50% and 65% of the depth, for models without a profile.

    Retrieval heads sit in the middle layers of the decoders that were studied (QRHead,
    arXiv 2506.09944, and CoRe, arXiv 2510.02219), so this is a start, not a fit.
    """
    n_layers, n_heads = full_depth(config), head_count(config)
    first = n_layers // 2
    last = max(first, round(n_layers * 0.65) - 1)
    heads = [(layer, head) for layer in range(first, last + 1) for head in range(n_heads)]
    return HeadProfile.from_heads(
        heads,
        model=_name(config),
        layout=layout,
        source="default",
        null_query=layout == _JOINT,
    )


def every_head(config: Any) -> list[Head]:
    """All `(layer, head)` of a model."""
    return [
        (layer, head) for layer in range(full_depth(config)) for head in range(head_count(config))
    ]


def fingerprint(config: Any) -> str:
    """Digest of the numbers that give a config its layers and heads; fine-tunes share it."""
    shape = {name: getattr(config, name, None) for name in _SHAPE}
    shape["num_hidden_layers"] = full_depth(config)
    rotary = getattr(config, "rope_parameters", None) or {}
    shape["rope_theta"] = float(rotary["rope_theta"]) if "rope_theta" in rotary else None
    return hashlib.sha256(json.dumps(shape, sort_keys=True).encode()).hexdigest()[:16]


def full_depth(config: Any) -> int:
    """Number of layers of the whole model, also where it was loaded only in part.

    Of an encoder-decoder those of the decoder, whose cross-attention is read.
    """
    return int(getattr(config, FULL_DEPTH, _first(config, _DEPTHS)))


def head_count(config: Any) -> int:
    """Attention heads of a layer, of an encoder-decoder those of its decoder."""
    return int(_first(config, _HEAD_COUNTS))


def _first(config: Any, names: Mapping[bool, Sequence[str]]) -> Any:
    """What a config calls a number, which families call differently."""
    known = names[bool(getattr(config, "is_encoder_decoder", False))]
    return next(getattr(config, name) for name in known if getattr(config, name, None) is not None)


def _check_heads(profile: HeadProfile, config: Any) -> None:
    n_layers, n_heads = full_depth(config), head_count(config)
    for layer, head in profile.all_heads:
        if not (0 <= layer < n_layers and 0 <= head < n_heads):
            raise ProfileMismatchError(
                f"head ({layer}, {head}) is not in this model: it has layers 0 to {n_layers - 1} "
                f"and heads 0 to {n_heads - 1}"
            )


def _name(config: Any) -> str:
    """What the model was loaded from, else what stands for a name."""
    return str(getattr(config, "_name_or_path", None) or unnamed(config.model_type))


def _to_type(config: Any) -> str:
    """What is typed after `--model`."""
    name = _name(config)
    return "MODEL" if is_unnamed(name) else name


def _parse(text: str, name: str) -> HeadProfile:
    try:
        data = json.loads(text)
        data.pop("stop_layer", None)
        data |= _heads(data)
        for part, read in _PARTS.items():
            found = data.pop(part, None)
            if found is not None:
                data[part] = _part(part, read, found)
        return HeadProfile(**data)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{name} is not a head profile: {error}") from error


def _part(name: str, read: Callable[[Any], Any], data: Any) -> Any:
    """A field of a file, whose name is in the error where it is none."""
    try:
        return read(data)
    except KeyError as error:
        raise ValueError(f"{name} lacks {error}") from error
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: {error}") from error


def _heads(data: Mapping[str, Any]) -> dict[str, Any]:
    """Heads and their weights as they stand in a file."""
    return {
        "heads": _part("heads", _pairs, data["heads"]),
        "weights": _part("weights", lambda weights: tuple(map(float, weights)), data["weights"]),
    }


def _pairs(heads: Iterable[Iterable[int]]) -> tuple[Head, ...]:
    return tuple((int(layer), int(head)) for layer, head in heads)


_PARTS: Mapping[str, Callable[[Any], Any]] = {
    "ranking": lambda data: RankRule(
        **{
            **data,
            "heads": _pairs(data["heads"]),
            "exponents": tuple(map(float, data["exponents"])),
        }
    ),
    "spans": lambda data: SpanRule(**{**data, **_heads(data)}),
    "evidence": lambda data: EvidenceRule(
        **{
            **data,
            "heads": _pairs(data.get("heads", ())),
            "best_of": tuple(data.get("best_of", ())),
            "total_of": tuple(data.get("total_of", ())),
        }
    ),
    "context": _pairs,
}
