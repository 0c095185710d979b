"""Loads only the layers that run, and keeps what had to be converted for the next time."""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from logging import getLogger
from pathlib import Path
from typing import Any

import torch
import transformers
from huggingface_hub import constants
from safetensors.torch import save_file
from torch import nn
from transformers import AutoConfig, AutoTokenizer

from attnmass.capture.view import find_decoder, find_layers
from attnmass.errors import UnsupportedModelError
from attnmass.loading.device import choose_device, choose_dtype
from attnmass.loading.sources import Source, locate, not_fetched
from attnmass.profiles import HeadProfile
from attnmass.profiles.profile import FULL_DEPTH

_logger = getLogger(__name__)

_SAMPLE = 4 << 20  # bytes at each end of a GGUF file that tell it from another


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model in memory.

    Attributes:
        model: Its decoder, cut after the last layer that runs, without language-model head.
        tokenizer: Its tokenizer.
        profile: The heads to read.
    """

    model: nn.Module
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
    """
    where = choose_device(device)
    kind = choose_dtype(dtype, where)
    source = locate(name, revision=revision, cache_dir=cache_dir, local_files_only=local_files_only)
    passed_on: dict[str, Any] = {
        "revision": revision or "main",
        "cache_dir": cache_dir,
        "local_files_only": local_files_only or source.local,
    }
    if source.gguf is not None:
        root = Path(cache_dir or constants.HF_HOME) / "attnmass"
        folder = _converted(source, root, choose_profile, kind)
        if folder is not None:
            source, passed_on = Source(str(folder)), {"local_files_only": True}
    try:
        return _load(source, choose_profile, where, kind, passed_on)
    except OSError as error:
        raise not_fetched(name)(error) from error


def _load(
    source: Source,
    choose_profile: Callable[[Any], HeadProfile],
    device: torch.device,
    dtype: torch.dtype,
    passed_on: dict[str, Any],
) -> Loaded:
    gguf = {} if source.gguf is None else {"gguf_file": source.gguf}
    config = AutoConfig.from_pretrained(source.name, **gguf, **passed_on)
    profile = choose_profile(text_config(config))
    tokenizer = AutoTokenizer.from_pretrained(source.name, **gguf, **passed_on)
    cut = text_config(config)
    if source.gguf is None:  # a GGUF file is always read whole
        _cut_config(cut, profile.last_layer + 1)
    model = _quiet_class(config).from_pretrained(
        source.name,
        config=config,
        dtype=dtype,
        use_safetensors=None if gguf else True,
        **gguf,
        **passed_on,
    )
    return Loaded(model.to(device).eval(), tokenizer, profile)


def text_config(config: Any) -> Any:
    """The part of a config that is about text: all of it, but for models with images or sound."""
    return config.get_text_config(decoder=True)


def _cut_config(config: Any, n_layers: int) -> None:
    """Make a config of our own stop after `n_layers`, and remember how many there were."""
    if not hasattr(config, FULL_DEPTH):
        setattr(config, FULL_DEPTH, config.num_hidden_layers)
    if n_layers < config.num_hidden_layers:
        config.num_hidden_layers = n_layers
        if getattr(config, "layer_types", None):
            config.layer_types = config.layer_types[:n_layers]


def _quiet_class(config: Any) -> Any:
    """The model's class, not reporting the layers and heads that were left out on purpose."""
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
    ignored = [*known, r"(^|\.)(layers|h|blocks)\.\d+\.", r"^(lm_head|embed_out|score)\."]
    return type(
        base.__name__,
        (base,),
        {"_keys_to_ignore_on_load_unexpected": ignored, "__module__": base.__module__},
    )


def _converted(
    source: Source,
    root: Path,
    choose_profile: Callable[[Any], HeadProfile],
    dtype: torch.dtype,
) -> Path | None:
    """Folder with the layers that run, already in `dtype`; made from a GGUF file if not there.

    Returns:
        The folder, or `None` where it cannot be written: the GGUF file is then read directly.
    """
    digest = _digest(Path(source.name) / str(source.gguf))
    kind = str(dtype).removeprefix("torch.")
    stem = f"{re.sub(r'[^A-Za-z0-9.-]', '-', str(source.gguf))}-{digest}-{kind}"
    for folder in sorted(root.glob(f"{stem}-*")):
        if (folder / "config.json").is_file():
            config = AutoConfig.from_pretrained(folder, local_files_only=True)
            if choose_profile(text_config(config)).last_layer < config.num_hidden_layers:
                return folder
    try:
        root.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=root))
    except OSError as error:
        _logger.info("converted weights are not kept: %s", error)
        return None
    try:
        loaded = _load(source, choose_profile, torch.device("cpu"), dtype, {})
        n_layers = loaded.profile.last_layer + 1
        _save(loaded, n_layers, scratch)
        target = root / f"{stem}-{n_layers}"
        try:
            scratch.rename(target)
        except OSError:  # another process was quicker
            if not (target / "config.json").is_file():
                raise
        return target
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _save(loaded: Loaded, n_layers: int, folder: Path) -> None:
    """Write the first layers as safetensors with config and tokenizer."""
    decoder = find_decoder(loaded.model)
    name, _ = find_layers(decoder)
    beyond = re.compile(rf"^{name}\.(\d+)\.")
    weights = {
        key: tensor.contiguous()
        for key, tensor in decoder.state_dict().items()
        if not (found := beyond.match(key)) or int(found.group(1)) < n_layers
    }
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    loaded.tokenizer.save_pretrained(folder)
    full: Any = decoder.config
    config = type(full).from_dict(full.to_dict())
    for leftover in ("quantization_config", "_name_or_path"):
        if hasattr(config, leftover):
            delattr(config, leftover)
    _cut_config(config, n_layers)
    config.architectures = [type(decoder).__name__]
    config.save_pretrained(folder)


def _digest(path: Path) -> str:
    """Tells a GGUF file from another by its size and both its ends."""
    digest = hashlib.sha256(str(path.stat().st_size).encode())
    with path.open("rb") as file:
        digest.update(file.read(_SAMPLE))
        file.seek(max(0, path.stat().st_size - _SAMPLE))
        digest.update(file.read(_SAMPLE))
    return digest.hexdigest()[:16]
