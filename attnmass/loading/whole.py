"""Whether weights are complete and match their config; else nothing is ranked by them.

transformers fills in what a file lacks with random numbers and goes on. Here that is an error,
which names the file, the tensors and what to do.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError, safe_open

from attnmass.errors import AttnMassError, WeightsNotFoundError
from attnmass.models.out_of_memory import is_out_of_memory

_SINGLE, _INDEX = "model.safetensors", "model.safetensors.index.json"
_MOST_NAMED = 3  # tensors in a message
_FLOATS = {"F16", "F32", "F64", "BF16"}  # in safetensors' headers; 8-bit types are of no use alone
_RAW = (ArithmeticError, AttributeError, LookupError, TypeError, StrictDataclassError)
_AGAIN = "fetch or save the weights again, whole and from one model"


class Stored(NamedTuple):
    """What a file says about a tensor.

    Attributes:
        file: The name of the file.
        dtype: As safetensors calls it, such as `"F32"`.
    """

    file: str
    dtype: str


def read_headers(folder: Path) -> dict[str, Stored]:
    """Which tensors a folder's safetensors hold, from their headers alone.

    Raises:
        WeightsNotFoundError: If a file is missing or damaged, or the files do not belong together.
    """
    names = [_SINGLE]
    if not (folder / _SINGLE).is_file() and (folder / _INDEX).is_file():
        names = _shards(folder)
    elif not (folder / _SINGLE).is_file():
        raise WeightsNotFoundError(
            f"{folder} has neither {_SINGLE} nor {_INDEX}, which tells what its files are: {_AGAIN}"
        )
    found: dict[str, Stored] = {}
    for name in names:
        try:
            with safe_open(folder / name, framework="pt") as file:
                for key in file.keys():  # noqa: SIM118 - it is not a mapping
                    if key in found:
                        raise WeightsNotFoundError(
                            f"{folder} has {key} both in {found[key].file} and in {name}, which "
                            f"are not of one model: {_AGAIN}"
                        )
                    found[key] = Stored(name, file.get_slice(key).get_dtype())
        except (SafetensorError, OSError) as error:
            raise WeightsNotFoundError(
                f"{folder / name} is cut off, damaged or unreadable ({error}): {_AGAIN}"
            ) from error
    return found


def _shards(folder: Path) -> list[str]:
    """The files that an index names."""
    path = folder / _INDEX
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        places, _ = index["weight_map"], index["metadata"]  # which transformers requires
        names = sorted(set(places.values()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsNotFoundError(
            f"{path} does not name a file for each tensor ({type(error).__name__}: {error}): "
            f"{_AGAIN}"
        ) from error
    for name in names:
        if Path(name).name != name or not (folder / name).is_file():
            lost = [tensor for tensor, place in places.items() if place == name]
            raise WeightsNotFoundError(
                f"{folder} lacks {name}, which has {_few(lost)}: put it there, or fetch the "
                "weights again"
            )
    return names


def check_loaded(
    model: Any, info: Mapping[str, Any], where: str, stored: Mapping[str, Stored]
) -> None:
    """Compare what was loaded with what was there.

    Args:
        model: What was made from it.
        info: What transformers reports about loading.
        where: The folder, file or repository.
        stored: What `read_headers` found; empty where the files cannot be looked at.

    Raises:
        WeightsNotFoundError: If a weight was missing, of another shape, or not in floats, or there
            is one that the config does not know of.
    """
    if missing := info["missing_keys"]:
        raise WeightsNotFoundError(
            f"{where} has no weights for {_few(missing)}, of {len(model.state_dict())} tensors "
            f"that its config describes: {_AGAIN}, or mend config.json"
        )
    if mismatched := info["mismatched_keys"]:
        name, its, ours = sorted(mismatched)[0]
        raise WeightsNotFoundError(
            f"{where} has {_few(each[0] for each in mismatched)} in another shape than its config "
            f"describes ({name}: {tuple(its)}, not {tuple(ours)}): {_AGAIN}, or mend config.json"
        )
    ours = {name: tensor.is_floating_point() for name, tensor in model.state_dict().items()}
    prefix = _prefix(ours, stored)
    is_quantized = getattr(model.config, "quantization_config", None) is not None
    for name, is_float in ours.items():
        there = stored.get(prefix + name)
        if there and is_float and not is_quantized and there.dtype not in _FLOATS:
            raise WeightsNotFoundError(
                f"{where} has {prefix + name} in {there.dtype} in {there.file}, where floats "
                "belong, and its config tells of no quantization: fetch weights in floats, or a "
                "config.json with the quantization_config that they were made with"
            )
    modules = {name for name, module in model.named_modules() if module._parameters}
    every = {name for name, _ in model.named_modules()}
    for key in sorted(() if is_quantized else info["unexpected_keys"]):
        if _is_of_a_layer(key.removeprefix(f"{model.base_model_prefix}."), every):
            raise WeightsNotFoundError(
                f"{where} has {key}, and its config describes layers without such a part, so it is "
                f"not the config of these weights: {_AGAIN}, with their own config.json"
            )
    for key, there in stored.items():
        name = key.removeprefix(prefix)
        module, _, leaf = name.rpartition(".")
        is_one_too_many = module in modules and leaf in ("weight", "bias") and name not in ours
        if is_one_too_many and key.startswith(prefix) and not is_quantized:
            raise WeightsNotFoundError(
                f"{where} has {key} in {there.file}, of which its config knows nothing, so it is "
                f"not the config of these weights: {_AGAIN}, with their own config.json"
            )


def _is_of_a_layer(key: str, modules: Collection[str]) -> bool:
    """Whether a tensor is of a module that is missing from one of the existing layers.

    Others are what a family no longer keeps (masks, frequencies), or belong to heads or to layers
    above.
    """
    module, _, leaf = key.rpartition(".")
    if leaf not in ("weight", "bias") or module in modules:
        return False
    while module and module not in modules:
        module = module.rpartition(".")[0]
    return any(part.isdigit() for part in module.split("."))


@contextmanager
def readable(file: str | Path) -> Iterator[None]:
    """Say which file could not be read, whatever the reader raises.

    Raises:
        WeightsNotFoundError: Instead of any error except our own and out-of-memory errors.
    """
    try:
        yield
    except AttnMassError:
        raise
    except Exception as error:  # readers raise whatever they stumble over in damaged files
        if is_out_of_memory(error):
            raise
        raise WeightsNotFoundError(
            f"{file} is cut off, damaged, or of a kind that transformers does not read "
            f"({type(error).__name__}: {error}): {_AGAIN}"
        ) from error


def _prefix(ours: Iterable[str], stored: Mapping[str, Stored]) -> str:
    """The prefix of the names of a model's tensors where it was saved as part of another."""
    names = list(ours)
    known = {key.removesuffix(names[0]) for key in stored if names and key.endswith(names[0])}
    return max(sorted(known), key=lambda p: sum(p + name in stored for name in names), default="")


def _few(names: Iterable[str]) -> str:
    """Some names, and how many more there are."""
    every = sorted(names)
    more = f" and {len(every) - _MOST_NAMED} more" if len(every) > _MOST_NAMED else ""
    return ", ".join(every[:_MOST_NAMED]) + more


@contextmanager
def sound(where: str, files: str) -> Iterator[None]:
    """Turn transformers' raw errors about what a model's files hold into one that names the files.

    Args:
        where: The folder or repository.
        files: The files that are read.

    Raises:
        WeightsNotFoundError: Instead of a raw error.
    """
    try:
        yield
    except _RAW as error:
        raise WeightsNotFoundError(
            f"{where} has a {files} from which no model can be made "
            f"({type(error).__name__}: {error}): {_AGAIN}"
        ) from error
