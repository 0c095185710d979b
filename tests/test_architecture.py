"""What imports what, and what the public names are."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from pathlib import Path

import pytest

import attnmass

# A room may import those before it, types and imports inside functions included. The package
# itself, what users import, and `python -m attnmass` are above all of them.
ROOMS = (
    "errors",
    "options",
    "text",
    "models",
    "profiles",
    "loading",
    "capture",
    "masses",
    "store",
    "layouts",
    "scoring",
    "trimming",
    "results",
    "explain",
    "engine",
    "ranker",
    "fitting",
    "client",
    "adapters",
    "cluster",
    "serving",
    "cli",
)
# So do the rooms in it; what is beside them, but for its leaves, is above them all.
FITTING = ("errors", "defaults", "metrics", "subject", "queries", "captures", "heads")
FITTING += ("shares", "sentences", "evidence", "reports")
PACKAGE = Path(attnmass.__file__).parent
REFERENCE = PACKAGE.parent / "docs" / "reference" / "attnmass.md"
MODULES = {
    ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): file
    for file in sorted(PACKAGE.rglob("*.py"))
}

FRAMEWORKS = {"llama_index", "langchain_core", "langchain_classic"}
HEAVY = {"torch", "transformers", "sentence_transformers"}


def imported_by(code: str) -> set[str]:
    """Top-level modules that are there after `code` in a clean interpreter."""
    script = f"import sys\n{code}\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def imports_of(module: str, file: Path) -> Iterator[tuple[int, str]]:
    """Line and name of every module of the core that one imports, wherever it does."""
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            origin = ".".join([*(above if node.level else []), *filter(None, [node.module])])
            whole = [f"{origin}.{alias.name}" for alias in node.names]
            names = [name if name in MODULES else origin for name in whole]
        for name in dict.fromkeys(names):
            if name.partition(".")[0] == "attnmass" and name != module:
                yield node.lineno, name


def rank_of(module: str) -> tuple[int, int]:
    """Where a module's room stands; what is above all rooms is last."""
    room, _, inside = module.partition(".")[2].partition(".")
    inner = inside.partition(".")[0]
    if room != "fitting":
        return (ROOMS.index(room) if room in ROOMS else len(ROOMS), 0)
    return (ROOMS.index(room), FITTING.index(inner) if inner in FITTING else len(FITTING))


def test_rooms_are_all_there_is() -> None:
    """Every module is in a room that has its place in the order, and every room is there."""
    found = {name.split(".")[1] for name in MODULES if "." in name}
    assert found == {*ROOMS, "__main__"}
    assert len(list(PACKAGE.glob("*.py"))) <= 12


def test_the_page_tells_of_every_room() -> None:
    """The page on how it is built names the rooms in their order, each with its own sentence."""
    page = (PACKAGE.parent / "docs" / "how-it-is-built.md").read_text(encoding="utf-8")
    table = page.partition("## The rooms")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| `(\w+)(?:/|\.py)` \| (.+) \|$", table, re.MULTILINE))
    assert tuple(rows) == ROOMS
    said = {room: import_module(f"attnmass.{room}").__doc__ for room in ROOMS}
    folders = [room for room in ROOMS if (PACKAGE / room).is_dir()]
    assert {room: rows[room] for room in folders} == {
        room: (said[room] or "").partition("\n")[0] for room in folders
    }


def test_the_page_tells_of_the_rooms_in_fitting() -> None:
    """Every folder of `fitting` is in the order that is held here, and named in it on the page."""
    folders = [name for name in FITTING if (PACKAGE / "fitting" / name).is_dir()]
    assert {path.parent.name for path in PACKAGE.glob("fitting/*/__init__.py")} == {*folders}
    page = (PACKAGE.parent / "docs" / "how-it-is-built.md").read_text(encoding="utf-8")
    told = page.partition("`fitting/` has rooms of its own")[2].partition("\n\n")[0]
    assert re.findall(r"`(\w+)`", told) == folders


def test_paths_that_the_page_names_are_there() -> None:
    """Every file that the page names is there, but for the new one that a change adds."""
    page = (PACKAGE.parent / "docs" / "how-it-is-built.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:attnmass|tests|benchmarks|docs)/[\w./*-]+)`", page))
    there = {name for name in named if "NAME" not in name and "MODEL" not in name}
    assert len(there) > 12
    assert [name for name in there if not list(PACKAGE.parent.glob(name))] == []


def test_rooms_import_only_what_is_before_them() -> None:
    """No import points up, for types or inside a function either."""
    up = [
        f"{file.relative_to(PACKAGE.parent)}:{line}: imports {name}"
        for module, file in MODULES.items()
        for line, name in imports_of(module, file)
        if rank_of(name) > rank_of(module)
    ]
    assert len(MODULES) > 150
    assert up == []


def test_no_module_imports_itself_by_way_of_others() -> None:
    """There is no circle of modules, of types or inside functions either."""
    graph = {
        module: {name for _, name in imports_of(module, file)} for module, file in MODULES.items()
    }
    try:
        order = list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))
    assert set(order) == set(MODULES)


@pytest.mark.parametrize(
    "source",
    [
        "from attnmass.ranker import AttentionRanker",
        "import attnmass.ranker",
        "from ..ranker import AttentionRanker",
        "from .. import ranker",
        "def load():\n    from attnmass import ranker",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import attnmass.ranker as r",
    ],
)
def test_every_way_to_import_is_seen(source: str, tmp_path: Path) -> None:
    """However a module is imported, its name and its line are found."""
    file = tmp_path / "order.py"
    file.write_text(source)
    (found,) = imports_of("attnmass.scoring.order", file)
    assert found == (len(source.splitlines()), "attnmass.ranker")


def test_core_is_light_until_it_is_used() -> None:
    """Importing the core brings in neither torch nor numpy nor a framework."""
    found = imported_by("import attnmass; attnmass.Chunk('a')")
    assert not found & (HEAVY | FRAMEWORKS | {"numpy"})


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


@pytest.mark.parametrize(
    "module", ["scoring.masses", "scoring.selection", "results.ranking", "trimming"]
)
def test_after_capture_nothing_touches_a_model(module: str) -> None:
    """What comes after capture works without transformers."""
    assert "transformers" not in imported_by(f"import attnmass.{module}")


def test_drawing_needs_no_model() -> None:
    """Heat maps are made of plain data, and what draws them is there when it is asked for."""
    found = imported_by("import attnmass.explain")
    assert not found & (HEAVY | FRAMEWORKS | {"tokenizers", "jinja2", "rich"})
    drawn = imported_by(
        "from attnmass.results.drawn import View\n"
        "from attnmass.results.explanation import Explanation\n"
        "told = dict(query='q', model='m', heads=(), chunks=(), threshold=None)\n"
        "told['views'] = (View('all', ()),)\n"
        "made = Explanation(**told, query_words=(), evidence=0.0, no_evidence=False)\n"
        "made.to_html(), made.to_json(), made._repr_html_()\n"
        "from attnmass.explain import AnswerExplanation\n"
        "answer = AnswerExplanation(**told, answer='a', sentences=())\n"
        "answer.to_html(), answer.to_json(), answer._repr_html_()"
    )
    assert "jinja2" in drawn
    assert not drawn & (HEAVY | FRAMEWORKS | {"tokenizers", "rich"})


def test_capture_knows_nothing_of_the_cache() -> None:
    """Capture reads a model, and what is kept of it is decided above."""
    code = "import sys, attnmass.capture; print('attnmass.store' in sys.modules)"
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
    "module",
    [
        "queries.data",
        "captures.arrays",
        "captures.store",
        "heads.methods",
        "heads.crossval",
        "metrics",
        "sentences.spans",
        "reports.report",
    ],
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
    knowing = [
        str(file) for file in outside if re.search(r"attnmass\.cli\b|typer", file.read_text())
    ]
    assert knowing == []


def test_command_line_is_light() -> None:
    """The command line needs torch for a model only, and no framework ever."""
    found = imported_by("import attnmass.cli.app")
    assert "typer" in found
    assert not found & (HEAVY | FRAMEWORKS)


def test_what_serves_is_there_only_where_it_serves() -> None:
    """Neither the package nor its command line imports a web framework before it serves."""
    web = {"fastapi", "starlette", "uvicorn", "prometheus_client", "opentelemetry"}
    assert not imported_by("import attnmass, attnmass.cli.app, attnmass.serving") & web
    assert not imported_by("from attnmass import AttentionRanker; AttentionRanker") & web
    assert web - {"opentelemetry"} <= imported_by("import attnmass.serving.server")


def test_the_package_is_light() -> None:
    """Importing the package brings in neither models nor what options are declared with."""
    assert not imported_by("import attnmass") & (HEAVY | FRAMEWORKS | {"pydantic", "numpy"})


def test_where_weights_are_is_light() -> None:
    """Whether weights are there can be asked without torch."""
    assert not imported_by("import attnmass.loading.sources") & HEAVY


MOST_PARAMETERS = 9


@pytest.mark.parametrize("package", ["attnmass", "langchain_attn", "llama_index_attn"])
def test_no_call_takes_a_page_of_arguments(package: str) -> None:
    """What has more to be told takes an object that says it."""
    for file in sorted((PACKAGE.parent / package).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                told = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
                names = [each.arg for each in told if each.arg not in ("self", "cls")]
                assert len(names) <= MOST_PARAMETERS, f"{file}:{node.lineno}: {names}"


def test_public_names() -> None:
    """They are those that the reference names; a change of them is a change of the interface."""
    page = REFERENCE.read_text(encoding="utf-8")
    told = re.search(r"^`from attnmass import` (.+?)\.$", page, re.MULTILINE | re.DOTALL)
    assert told is not None
    assert attnmass.__all__ == re.findall(r"`(\w+)`", told[1])
    assert all(getattr(attnmass, name) is not None for name in attnmass.__all__)
    assert dir(attnmass) == attnmass.__all__


def test_unknown_name() -> None:
    """A name that is not there is an AttributeError, as for any module."""
    with pytest.raises(AttributeError, match="Nothing"):
        attnmass.Nothing  # noqa: B018
