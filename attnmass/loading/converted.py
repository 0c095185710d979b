"""Keeps weights that had to be converted, so that they load quickly the next time.

A kept model is a folder of safetensors, config and tokenizer in the Hugging Face cache (or the
`cache_dir` that the user names), written elsewhere and then renamed: another process sees all of it
or nothing.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from logging import getLogger
from pathlib import Path
from typing import Any

import torch
import transformers
from pydantic_core import from_json
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from tqdm.auto import tqdm
from transformers import AutoConfig
from transformers.utils.logging import is_progress_bar_enabled

from attnmass.loading.scratch import scratch
from attnmass.loading.sources import Source
from attnmass.models.caching import cache_root

_logger = getLogger(__name__)

_BLOCK = 1 << 20  # bytes


def root(cache_dir: Path | None) -> Path:
    """Where converted models are kept."""
    return cache_root(cache_dir)


def find(
    source: Source, where: Path, dtype: torch.dtype, suffices: Callable[[Any], bool]
) -> Path | None:
    """The folder of a converted model that is complete and has the layers needed, if it exists.

    Args:
        source: The GGUF file.
        where: See `root`.
        dtype: That of the weights.
        suffices: Whether a config has all layers that are needed.
    """
    for folder in sorted(where.glob(f"{_stem(source, dtype)}-*")):
        if _is_whole(folder) and suffices(AutoConfig.from_pretrained(folder)):
            return folder
    return None


@contextmanager
def told(source: Source, where: Path) -> Iterator[Callable[[str], object]]:
    """Say that weights are converted, how large they are and where to, with a bar of three steps.

    This goes to the log, and to a bar where transformers shows its own.

    Args:
        source: The GGUF file.
        where: See `root`.

    Yields:
        A function to call with what is done next.
    """
    paths = source.parts or (Path(source.name) / str(source.gguf),)
    size = sum(path.stat().st_size for path in paths if path.is_file()) / 1e6
    what = f"converting {source.gguf} ({size:,.0f} MB) once, into {where}"
    _logger.info("%s: the next load takes seconds", what)
    with tqdm(total=3, desc=what, unit="step", disable=not is_progress_bar_enabled()) as bar:

        def advance(doing: str) -> None:
            bar.update()
            bar.set_postfix_str(doing)

        bar.set_postfix_str("reading")
        yield advance
        bar.update()


def keep(model: Any, tokenizer: Any, source: Source, where: Path, dtype: torch.dtype) -> None:
    """Write a converted decoder, with its tokenizer; where that fails, do without.

    Args:
        model: A decoder of ours, cut to the layers that run.
        tokenizer: Its tokenizer.
        source: The GGUF file.
        where: See `root`.
        dtype: That of the weights.
    """
    try:
        where.mkdir(parents=True, exist_ok=True)
        with scratch(where) as folder:
            weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
            save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
            tokenizer.save_pretrained(folder)
            _plain_config(model).save_pretrained(folder)
            folder.chmod(0o755)  # others may share the cache
            size = (folder / "model.safetensors").stat().st_size / 1e6
            target = where / f"{_stem(source, dtype)}-{model.config.num_hidden_layers}"
            if not _is_whole(target):
                shutil.rmtree(target, ignore_errors=True)
                folder.rename(target)
            _logger.info("kept %.0f MB in %s", size, target)
    except (OSError, RuntimeError, SafetensorError) as error:
        # The folder is not writable, the disk is full, or another process was quicker.
        _logger.info("converted weights are not kept: %s", error)


def _plain_config(model: Any) -> Any:
    """A copy of the model's config that does not say where it came from."""
    config = type(model.config).from_dict(model.config.to_dict())
    for leftover in ("quantization_config", "_name_or_path"):
        if hasattr(config, leftover):
            delattr(config, leftover)
    config.architectures = [type(model).__name__]
    return config


def _is_whole(folder: Path) -> bool:
    """Whether nothing of a kept model is missing or cut off."""
    try:
        for name in ("config.json", "tokenizer.json"):
            from_json((folder / name).read_bytes())
        with safe_open(folder / "model.safetensors", framework="pt"):
            return True
    except (OSError, ValueError, SafetensorError):
        return False


def _stem(source: Source, dtype: torch.dtype) -> str:
    """The name of the folders of one GGUF file in one dtype, except for the number of layers."""
    name = re.sub(r"[^A-Za-z0-9.-]", "-", str(source.gguf))
    digest = _digest(source.parts or (Path(source.name) / str(source.gguf),))
    return f"{name}-{digest}-{transformers.__version__}-{str(dtype).removeprefix('torch.')}"


def _digest(paths: Sequence[Path]) -> str:
    """A digest of what files hold, one after another."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    return digest.hexdigest()[:16]
