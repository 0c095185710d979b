"""Loads only the layers that run."""

from __future__ import annotations

import importlib.util
import inspect
import re
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoConfig, AutoTokenizer

from attnmass.errors import UnsupportedModelError
from attnmass.loading import converted, live
from attnmass.loading.device import choose_device, choose_dtype
from attnmass.loading.hub import why_unreachable
from attnmass.loading.parts import in_one_folder
from attnmass.loading.sources import Source, locate, not_found
from attnmass.loading.whole import check_loaded, read_headers, readable, sound
from attnmass.models.kinds import kind_of
from attnmass.models.sizes import FULL_DEPTH, depth, full_depth
from attnmass.models.view import cut_config, find_decoder, find_layers
from attnmass.profiles import HeadProfile


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model in memory.

    Attributes:
        model: Its layers, cut after the last one that runs, without a language-model head; or the
            whole model, where its classification head is needed.
        tokenizer: Its tokenizer.
        profile: The heads to read.
    """

    model: Any
    tokenizer: Any
    profile: HeadProfile


def load(
    name: str,
    choose_profile: Callable[[Any], HeadProfile],
    *,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype = "auto",
    revision: str | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
    needs_head: Callable[[Any], bool] = lambda config: False,
) -> Loaded:
    """Load a model by name; see `AttentionRanker.from_pretrained` for arguments and errors.

    Args:
        name: What to load.
        choose_profile: Gives the heads for a model's config.
        device: See `choose_device`.
        dtype: See `choose_dtype`.
        revision: Passed on to transformers.
        cache_dir: Likewise; converted weights are kept there too.
        local_files_only: Passed on to transformers.
        needs_head: Tells whether the classification head of a model with this config is asked.
    """
    where = choose_device(device)
    kind = choose_dtype(dtype, where)
    choose_profile = _named(choose_profile, name)
    source = locate(name, revision=revision, cache_dir=cache_dir, local_files_only=local_files_only)
    origin = live.origin_of(source)
    if source.gguf is not None:
        kept = converted.root(None if cache_dir is None else Path(cache_dir))

        def suffices(config: Any) -> bool:
            text = text_config(config)
            return choose_profile(text).last_layer < int(text.num_hidden_layers)

        folder = converted.find(source, kept, kind, suffices)
        if folder is None:
            with converted.told(source, kept) as advance:
                with in_one_folder(source, kept) as place:
                    advance("converting")
                    loaded = _load_gguf(replace(source, name=place), choose_profile, kind)
                advance("writing")
                converted.keep(loaded.model, loaded.tokenizer, source, kept, kind)
            model = loaded.model.to(where)
            live.share(model, origin, (where, kind, loaded.profile.last_layer, False))
            return Loaded(model, loaded.tokenizer, loaded.profile)
        source = Source(str(folder))
    passed_on: dict[str, Any] = {"trust_remote_code": False, "local_files_only": source.local}
    if not source.local:
        if (cause := why_unreachable(source.name, revision)) is not None:
            places = [
                f"the Hugging Face cache for {source.name}",
                "the Hugging Face Hub, which cannot be reached",
            ]
            raise not_found(name, places, cause) from cause
        passed_on |= {"revision": revision or "main", "cache_dir": cache_dir}
    try:
        return _load_safetensors(source, choose_profile, where, kind, passed_on, needs_head, origin)
    except OSError as error:  # missing files, or a missing network
        place = f"the folder {source.name}" if source.local else "the Hugging Face Hub"
        raise not_found(name, [place], error) from error


def _named(choose_profile: Callable[[Any], HeadProfile], name: str) -> Callable[[Any], HeadProfile]:
    """The same choice, with the name that the user gave where a config names a folder of ours."""

    def choose(config: Any) -> HeadProfile:
        found = choose_profile(config)
        place = getattr(config, "_name_or_path", None)
        return replace(found, model=name) if place and found.model == place else found

    return choose


def text_config(config: Any) -> Any:
    """The part of a config that is about text: all of it, except in models with images or sound.

    For an encoder-decoder, it is also all of it: what transformers would give is a copy.

    Raises:
        UnsupportedModelError: If it is that of a RAG model.
    """
    if config.model_type == "rag":
        raise UnsupportedModelError(
            "RAG models are not loaded by name: pass AttentionRanker or "
            "attnmass.adapters.rag.RagSearch what RagSequenceForGeneration.from_pretrained and "
            "RagTokenizer.from_pretrained return."
        )
    if kind_of(config) == "encoder-decoder":
        return config
    return config.get_text_config(decoder=True)


def _load_safetensors(
    source: Source,
    choose_profile: Callable[[Any], HeadProfile],
    device: torch.device,
    dtype: torch.dtype,
    passed_on: dict[str, Any],
    needs_head: Callable[[Any], bool],
    origin: Hashable,
) -> Loaded:
    """Read only the layers that run, and nothing that is already in memory; see `live`."""
    config = _read_config(source, passed_on)
    text = text_config(config)
    profile = choose_profile(text)
    try:
        with sound(source.name, "tokenizer.json or tokenizer_config.json"):
            tokenizer = AutoTokenizer.from_pretrained(source.name, **passed_on)
    except ValueError as error:  # what transformers raises where there are no files of one
        raise OSError(f"no tokenizer: {error}") from error
    with_head = needs_head(config)
    about = (device, dtype, None if with_head else profile.last_layer, with_head)
    if (there := live.find(origin, about)) is not None:
        return Loaded(there, tokenizer, profile)
    if not with_head:
        _cut_config(text, profile.last_layer + 1)
    kind = _quiet_class(config, with_head=with_head)
    if not with_head and "add_pooling_layer" in inspect.signature(kind.__init__).parameters:
        passed_on = {**passed_on, "add_pooling_layer": False}  # of encoders; nobody reads it
    stored = read_headers(Path(source.name)) if source.local else {}
    with sound(source.name, "config.json"):
        model, info = kind.from_pretrained(
            source.name,
            config=config,
            dtype=dtype,
            use_safetensors=True,
            ignore_mismatched_sizes=True,  # they are reported below
            output_loading_info=True,
            **passed_on,
        )
    check_loaded(model, info, source.name, stored)
    model = model.to(device).eval()
    live.share(model, origin, about)
    return Loaded(model, tokenizer, profile)


def _load_gguf(
    source: Source, choose_profile: Callable[[Any], HeadProfile], dtype: torch.dtype
) -> Loaded:
    """Read a GGUF file, which transformers always converts whole, and drop the layers above."""
    if importlib.util.find_spec("gguf") is None or importlib.util.find_spec("accelerate") is None:
        raise UnsupportedModelError(
            f"reading {source.gguf} needs two more packages: pip install 'attnmass[gguf]'"
        )
    file = {"gguf_file": source.gguf, "local_files_only": True, "trust_remote_code": False}
    path = Path(source.name) / str(source.gguf)
    with readable(path):
        config = AutoConfig.from_pretrained(source.name, **file)
    profile = choose_profile(text_config(config))
    with readable(path):
        tokenizer = AutoTokenizer.from_pretrained(source.name, **file)
        whole, info = _quiet_class(config).from_pretrained(
            source.name,
            config=config,
            dtype=torch.float32,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            **file,
        )
    check_loaded(whole, info, str(path), {})
    model: Any = find_decoder(whole)
    name, layers = find_layers(model)
    setattr(model, name, layers[: profile.last_layer + 1])
    _cut_config(model.config, profile.last_layer + 1)
    for parameter in model.parameters():  # not buffers: rotary frequencies stay in float32
        parameter.data = parameter.data.to(dtype)
    return Loaded(model.eval(), tokenizer, profile)


def _read_config(source: Source, passed_on: dict[str, Any]) -> Any:
    try:
        with sound(source.name, "config.json"):
            try:
                return AutoConfig.from_pretrained(source.name, **passed_on)
            except KeyError as error:
                raise ValueError(str(error)) from error
    except ValueError as error:
        raise UnsupportedModelError(
            f"{source.name} asks for code or a kind of model that transformers does not have, and "
            f"code from a repository is never run: {error}"
        ) from error


def _cut_config(config: Any, n_layers: int) -> None:
    """Make a config of our own stop after `n_layers`, and remember how many there were."""
    if kind_of(config) == "encoder-decoder":
        _cut_decoder(config, n_layers)
        return
    if not hasattr(config, FULL_DEPTH):
        setattr(config, FULL_DEPTH, config.num_hidden_layers)
    if n_layers < config.num_hidden_layers:
        cut_config(config, n_layers)


def _cut_decoder(config: Any, n_layers: int) -> None:
    """The same for an encoder-decoder, whose encoder stays whole."""
    if not hasattr(config, FULL_DEPTH):
        setattr(config, FULL_DEPTH, full_depth(config))
    for name in ("num_decoder_layers", "decoder_layers"):
        if getattr(config, name, None) is not None and n_layers < getattr(config, name):
            setattr(config, name, n_layers)


def _quiet_class(config: Any, *, with_head: bool = False) -> Any:
    """The model's class, not reporting the layers and heads that were left out on purpose."""
    if with_head:
        return transformers.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING[type(config)]
    try:
        base: Any = transformers.MODEL_MAPPING[type(config)]
    except KeyError as error:
        raise UnsupportedModelError(
            f"transformers has no model for {type(config).__name__}, and code from a repository is "
            "never run: pass a model that transformers knows."
        ) from error
    if isinstance(base, tuple):
        base = base[0]
    known = list(getattr(base, "_keys_to_ignore_on_load_unexpected", None) or [])
    is_pair = kind_of(config) == "encoder-decoder"
    heads = ["lm_head", "embed_out", "score", "classifier", "pre_classifier", "cls", "head"]
    left_out = [
        _above(config),
        rf"^({'|'.join(heads if is_pair else [*heads, 'decoder'])})\.",
        r"^(vocab_\w+|\w*predictions\w*|(\w+\.)?pooler)\.",
        r"(^|\.)position_ids$|^final_logits_bias",
    ]
    whole: Any = transformers.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING.get(type(config), base)
    unsaved = getattr(whole, "_keys_to_ignore_on_save", None) or []  # which are computed
    overrides = {
        "_keys_to_ignore_on_load_unexpected": [*known, *left_out],
        "_keys_to_ignore_on_load_missing": [
            *(getattr(base, "_keys_to_ignore_on_load_missing", None) or []),
            *(re.escape(key.removeprefix(f"{base.base_model_prefix}.")) for key in unsaved),
        ],
        "__module__": base.__module__,
    }
    return type(base.__name__, (base,), overrides)


def _above(config: Any) -> str:
    """A pattern of the layers after the last one that a config has."""
    is_pair = kind_of(config) == "encoder-decoder"
    where = r"(^|\.)decoder\.(layers|block)" if is_pair else r"(^|\.)(layers|h|blocks?|layer)"
    here = "|".join(map(str, range(depth(text_config(config)))))
    return rf"{where}\.(?!({here})\.)\d+\."
