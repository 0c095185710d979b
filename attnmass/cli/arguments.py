"""From options to what the API is called with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attnmass.cli.errors import InputError, UsageError, api_arguments, spelled_as_options
from attnmass.cli.model_options import ModelOptions, StoreGroup
from attnmass.options.cache import CacheOptions
from attnmass.options.choices import FIT
from attnmass.options.fitting import check_fit_texts

if TYPE_CHECKING:
    from attnmass.profiles import HeadProfile


def model_arguments(model: ModelOptions) -> dict[str, Any]:
    """What `AttentionRanker.from_pretrained` is called with, but for the model's name.

    Raises:
        UsageError: If the heads are none, or named twice.
        InputError: If the profile cannot be read.
    """
    given = model.given()
    if given.pop("model", None) == "":
        raise UsageError("--model is empty: pass a name, a folder or a GGUF file, or leave it out")
    if model.profile == "":
        raise UsageError("--profile is empty: pass a file, or leave it out")
    if model.profile is not None and model.heads is not None:
        raise UsageError("pass --profile or --heads, not both")
    if model.heads is not None:
        given["heads"] = parse_heads(model.heads)
    texts = given.pop("fit_texts", None) or None
    with api_arguments():
        check_fit_texts(model.profile, texts)
    if texts is not None:
        given["fit_texts"] = tuple(texts)
    if model.profile is not None and model.profile != FIT:
        given["profile"] = read_profile(model.profile)
    return given


def check_cache(cache: StoreGroup) -> None:
    """Raise `UsageError` for values that are off or contradict each other."""
    with api_arguments():
        CacheOptions(**cache.given())


def read_profile(path: str) -> HeadProfile:
    """A head profile from its file.

    Raises:
        InputError: If there is none.
    """
    from attnmass.profiles import load_profile

    try:
        return load_profile(path)
    except ValueError as error:
        raise InputError(
            spelled_as_options(str(error)).replace("leave out profile", "leave out --profile"),
            "the profiles that ship are found by themselves: attnmass profiles list",
        ) from error


def parse_heads(text: str, option: str = "--heads") -> tuple[tuple[int, int], ...]:
    """`18-6,18-7` as pairs of layer and head.

    Args:
        text: What was passed.
        option: For which option.

    Raises:
        UsageError: If it is something else.
    """
    pairs = []
    for part in text.split(","):
        layer, dash, head = part.strip().partition("-")
        if not (dash and layer.isdecimal() and head.isdecimal()):
            raise UsageError(
                f"{option} takes layer-head pairs such as 18-6,18-7, not {part.strip()!r}"
            )
        pairs.append((int(layer), int(head)))
    return tuple(pairs)
