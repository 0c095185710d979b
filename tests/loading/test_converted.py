"""Converted weights are kept whole, found again, and made anew where they are damaged."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from attnmass.loading import converted
from attnmass.loading.sources import Source
from tests.tiny import tiny_model, tiny_tokenizer


@pytest.fixture
def source(tmp_path: Path) -> Source:
    """Something that stands for a GGUF file."""
    (tmp_path / "tiny.gguf").write_bytes(b"GGUF" * 100)
    return Source(str(tmp_path), "tiny.gguf")


@pytest.fixture
def where(tmp_path: Path) -> Path:
    """A folder that is not there yet."""
    return tmp_path / "cache" / "attnmass"


def keep(source: Source, where: Path, dtype: torch.dtype = torch.float32) -> None:
    """Keep the tiny model as what was converted from `source`."""
    converted.keep(tiny_model().model, tiny_tokenizer(), source, where, dtype)


def find(source: Source, where: Path, dtype: torch.dtype = torch.float32) -> Path | None:
    """Find it again, whatever layers it has."""
    return converted.find(source, where, dtype, lambda config: True)


def test_kept_and_found(source: Source, where: Path) -> None:
    """What was kept is found, for the same file, dtype and layers only."""
    assert find(source, where) is None
    keep(source, where)
    folder = find(source, where)
    assert folder is not None
    assert [path.name for path in where.iterdir()] == [folder.name]
    assert find(source, where, torch.bfloat16) is None
    deep = converted.find(source, where, torch.float32, lambda c: c.num_hidden_layers > 3)
    assert deep is None
    (Path(source.name) / "tiny.gguf").write_bytes(b"GGUF" * 99 + b"gguf")
    assert find(source, where) is None


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
@pytest.mark.parametrize("damage", ["missing", "cut off"])
def test_damaged_is_a_miss_and_made_anew(
    source: Source, where: Path, name: str, damage: str
) -> None:
    """A folder that lost a file, or a part of one, is not used, and is replaced."""
    keep(source, where)
    folder = find(source, where)
    assert folder is not None
    file = folder / name
    if damage == "missing":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:-20])
    assert find(source, where) is None
    keep(source, where)
    assert find(source, where) == folder


def test_kept_twice(source: Source, where: Path) -> None:
    """A process that comes second leaves what is there, and no rubbish."""
    keep(source, where)
    keep(source, where)
    assert len(list(where.iterdir())) == 1


def test_folder_that_cannot_be_written(source: Source, tmp_path: Path) -> None:
    """Where nothing can be kept, loading goes on without."""
    (tmp_path / "file").touch()
    keep(source, tmp_path / "file" / "attnmass")
    assert find(source, tmp_path / "file" / "attnmass") is None


def test_what_is_done_is_told(
    source: Source,
    where: Path,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The log and a bar say that weights are converted once, where to, and how much was kept."""
    with caplog.at_level("INFO", "attnmass.loading"), converted.told(source, where) as advance:
        advance("converting")
        advance("writing")
        keep(source, where)
    told = [record.getMessage() for record in caplog.records]
    assert told[0].startswith(f"converting tiny.gguf (0 MB) once, into {where}")
    assert told[1].startswith("kept 0 MB in ")
    shown = capsys.readouterr().err
    assert f"converting tiny.gguf (0 MB) once, into {where}: 100%" in shown
    assert "3/3" in shown


def test_no_bar_where_transformers_shows_none(
    source: Source, where: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who turned transformers' bars off gets none of ours either."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        with converted.told(source, where):
            pass
    finally:
        logging.enable_progress_bar()
    assert capsys.readouterr().err == ""
