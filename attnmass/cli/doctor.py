"""`attnmass doctor`."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict, dataclass, field
from importlib import metadata
from typing import Annotated, Literal

import typer

from attnmass.cli.errors import CliError, ExitCode, one_line
from attnmass.cli.model_options import ModelOptions
from attnmass.cli.models import Debug, where_weights_are
from attnmass.cli.notes import status
from attnmass.cli.records import to_json
from attnmass.cli.session import load_ranker
from attnmass.cli.writing import write_line

# What is used, and what installs it where it is missing.
_NEEDED = ("torch", "transformers", "tokenizers", "sentence-transformers", "safetensors")
_EXTRAS = {
    "llama-index-core": "attnmass[llama-index]",
    "langchain-core": "attnmass[langchain]",
    "gguf": "attnmass[gguf]",
    "accelerate": "attnmass[gguf]",
    "typer": "attnmass[cli]",
    "rich": "attnmass[cli]",
    "rank-bm25": "attnmass[fit]",
    "fastapi": "attnmass[serve]",
    "uvicorn": "attnmass[serve]",
    "prometheus-client": "attnmass[serve]",
}


@dataclass
class Findings:
    """What the doctor found.

    Attributes:
        facts: Pairs of what was looked at and what was found.
        hints: What to do, one line each.
        usable: Whether the model can be used; where it was not loaded, whether it could be.
    """

    facts: dict[str, str] = field(default_factory=dict)
    hints: list[str] = field(default_factory=list)
    usable: bool = True


def doctor(
    model: Annotated[
        str | None, typer.Option("--model", "-m", metavar="NAME", help="Look at another model.")
    ] = None,
    load: Annotated[
        bool, typer.Option("--load/--no-load", help="Load the model and prove its attention.")
    ] = True,
    format: Annotated[  # noqa: A002 - the option's name
        Literal["text", "json"], typer.Option("--format", "-f", help="How to print it.")
    ] = "text",
    debug: Debug = False,
) -> None:
    """What is installed, what a model would run on, whether it can, and what to install.

    Ends with 0 if the model can be used, else with 4.
    """
    found = Findings()
    _versions(found)
    with status("Looking at torch ..."):
        _machine(found)
    _weights(found, model)
    if load and found.usable:
        _prove(found, model, debug)
    elif load:
        found.facts["attention"] = "not proved: no weights"
    else:
        found.facts["attention"] = "not looked at (--no-load)"
    if format == "json":
        write_line(to_json(asdict(found), indent=2), plain=True)
    else:
        for name, value in found.facts.items():
            write_line(f"{name:<22} {one_line(value)}")
        for hint in found.hints:
            write_line(f"hint: {one_line(hint)}")
    raise typer.Exit(ExitCode.OK if found.usable else ExitCode.MODEL)


def _versions(found: Findings) -> None:
    found.facts["attnmass"] = _version("attnmass") or "not installed as a package"
    found.facts["python"] = f"{platform.python_version()} on {platform.system()}"
    for name in _NEEDED:
        there = _version(name)
        found.facts[name] = there or "missing"
        if there is None:
            found.usable = False
            found.hints.append(f"{name} is missing: pip install attnmass")
    for name, extra in _EXTRAS.items():
        there = _version(name)
        found.facts[name] = there or f"not installed: pip install '{extra}'"


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _machine(found: Findings) -> None:
    if not found.usable:
        return
    import torch

    from attnmass.loading.device import choose_device, choose_dtype

    device = choose_device(None)
    name = f" ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else ""
    found.facts["device"] = f"{device}{name}"
    found.facts["dtype"] = str(choose_dtype("auto", device)).removeprefix("torch.")
    found.facts["threads"] = f"{torch.get_num_threads()} of {os.cpu_count()} cores"


def _weights(found: Findings, model: str | None) -> None:
    from attnmass.loading.sources import DEFAULT_MODEL

    name = model or DEFAULT_MODEL
    found.facts["model"] = name if model else f"{name} (default)"
    there, fetch = where_weights_are(name)
    if there is not None:
        found.facts["weights"] = there
        if there.endswith(".gguf") and not (_version("gguf") and _version("accelerate")):
            found.hints.append("to read the GGUF file: pip install 'attnmass[gguf]'")
        return
    offline = os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")
    found.facts["weights"] = "not here" + (", and HF_HUB_OFFLINE is set" if offline else "")
    found.hints.append(f"to fetch the weights: {fetch}")
    found.usable = False


def _prove(found: Findings, model: str | None, debug: bool) -> None:
    from attnmass.errors import AttnMassError

    try:
        ranker = load_ranker(ModelOptions(model=model))
    except (AttnMassError, CliError, OSError, RuntimeError) as error:
        if debug:
            raise
        found.usable = False
        found.facts["attention"] = f"not proved: {error}"
        return
    profile = ranker.profile
    found.facts["head profile"] = (
        f"{profile.source}, {len(profile.all_heads)} heads up to layer {profile.last_layer}"
    )
    found.facts["attention"] = "proved: equals the model's own eager attention on a few tokens"
