"""What imports what, and what the public names are."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import attnmass

FRAMEWORKS = {"llama_index", "langchain_core", "langchain_classic"}
HEAVY = {"torch", "transformers", "sentence_transformers"}


def imported_by(code: str) -> set[str]:
    """Top-level modules that are there after `code` in a clean interpreter."""
    script = f"import sys\n{code}\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_core_is_light_until_it_is_used() -> None:
    """Importing the core brings in neither torch nor a framework."""
    assert not imported_by("import attnmass; attnmass.Chunk('a')") & (HEAVY | FRAMEWORKS)


def test_core_knows_no_framework() -> None:
    """The whole core, used, imports neither LlamaIndex nor LangChain."""
    found = imported_by("from attnmass import AttentionRanker, shared_ranker, HeadProfile")
    assert "torch" in found
    assert not found & FRAMEWORKS


@pytest.mark.parametrize(
    ("adapter", "own", "other"),
    [
        ("llama_index_attn", "llama_index", "langchain_core"),
        ("langchain_attn", "langchain_core", "llama_index"),
    ],
)
def test_adapter_imports_its_own_framework_only(adapter: str, own: str, other: str) -> None:
    """An adapter imports its framework, not the other one, and no torch before it is needed."""
    found = imported_by(f"import {adapter}")
    assert own in found
    assert other not in found
    assert not found & HEAVY


@pytest.mark.parametrize("module", ["scoring", "selection", "types"])
def test_after_capture_nothing_touches_a_model(module: str) -> None:
    """What comes after capture works without transformers."""
    assert "transformers" not in imported_by(f"import attnmass.{module}")


def test_drawing_needs_no_model() -> None:
    """Heat maps are made of plain data, and what draws them is there when it is asked for."""
    found = imported_by("import attnmass.explain")
    assert not found & (HEAVY | FRAMEWORKS | {"tokenizers", "jinja2", "rich"})
    drawn = imported_by(
        "from attnmass.explain.model import Explanation, View\n"
        "made = Explanation('q', (), 'm', (), (View('all', ()),), (), 0.0, False, None)\n"
        "made.to_html(), made.to_json(), made._repr_html_()\n"
        "from attnmass.explain import AnswerExplanation\n"
        "answer = AnswerExplanation('q', 'a', 'm', (), (View('all', ()),), (), (), None)\n"
        "answer.to_html(), answer.to_json(), answer._repr_html_()"
    )
    assert "jinja2" in drawn
    assert not drawn & (HEAVY | FRAMEWORKS | {"tokenizers", "rich"})


def test_capture_knows_nothing_of_the_cache() -> None:
    """Capture reads a model, and what is kept of it is decided above."""
    code = "import sys, attnmass.capture; print('attnmass.cache' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("module", ["disk", "memory"])
def test_the_store_knows_no_tensors(module: str) -> None:
    """What is kept are bytes, or whatever it is: a store works without torch."""
    assert not imported_by(f"import attnmass.store.{module}") & (HEAVY | FRAMEWORKS)


def test_fitting_knows_no_framework() -> None:
    """Fitting knows the core, and neither LlamaIndex nor LangChain."""
    found = imported_by("from attnmass.fitting import fit_profile, verify_profile")
    assert "torch" in found
    assert not found & FRAMEWORKS


@pytest.mark.parametrize(
    "module", ["data", "arrays", "methods", "crossval", "metrics", "spans", "store", "report"]
)
def test_reading_and_selecting_need_no_model(module: str) -> None:
    """Labelled data is read, and heads are selected from what was captured, without torch."""
    assert not imported_by(f"import attnmass.fitting.{module}") & (HEAVY | FRAMEWORKS)


def test_nothing_below_knows_fitting() -> None:
    """Only the command line, and the one public name, know that heads can be fitted."""
    root = Path(attnmass.__file__).parents[1]
    packages = ("attnmass", "langchain_attn", "llama_index_attn")
    files = [file for package in packages for file in (root / package).rglob("*.py")]
    known = {
        "/".join(file.relative_to(root).parts[:2])
        for file in files
        if "attnmass.fitting" in file.read_text()
    }
    assert known == {"attnmass/__init__.py", "attnmass/cli", "attnmass/fitting"}


def test_nothing_knows_the_command_line() -> None:
    """The command line imports the core; no core module and no adapter imports it back."""
    root = Path(attnmass.__file__).parents[1]
    packages = ("attnmass", "langchain_attn", "llama_index_attn")
    files = [file for package in packages for file in (root / package).rglob("*.py")]
    outside = [
        file
        for file in files
        if "cli" not in file.relative_to(root).parts and file.name != "__main__.py"
    ]
    assert 50 < len(outside) < len(files)
    knowing = [str(file) for file in outside if re.search(r"attnmass\.cli|typer", file.read_text())]
    assert knowing == []


def test_command_line_is_light() -> None:
    """The command line needs torch for a model only, and no framework ever."""
    found = imported_by("import attnmass.cli.app")
    assert "typer" in found
    assert not found & (HEAVY | FRAMEWORKS)


def test_where_weights_are_is_light() -> None:
    """Whether weights are there can be asked without torch."""
    assert not imported_by("import attnmass.loading.sources") & HEAVY


def test_public_names() -> None:
    """The public names are these; a change of them is a change of the interface."""
    assert attnmass.__all__ == [
        "AttentionRanker",
        "AttnMassError",
        "CaptureError",
        "Chunk",
        "CrossOptions",
        "HeadProfile",
        "NoEvidenceError",
        "RankedChunk",
        "RankerStats",
        "Ranking",
        "Span",
        "Timings",
        "Trim",
        "UnsupportedModelError",
        "WarmResult",
        "WeightsNotFoundError",
        "fit_profile",
        "load_profile",
        "release",
        "shared_ranker",
    ]
    assert all(getattr(attnmass, name) is not None for name in attnmass.__all__)
    assert dir(attnmass) == attnmass.__all__


def test_unknown_name() -> None:
    """A name that is not there is an AttributeError, as for any module."""
    with pytest.raises(AttributeError, match="Nothing"):
        attnmass.Nothing  # noqa: B018
