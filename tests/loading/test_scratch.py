"""What is made in a folder of its own leaves nothing behind, however it ends."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from attnmass.loading.scratch import scratch

PROGRAM = """
import sys
from pathlib import Path
from attnmass.loading.scratch import scratch
with scratch(Path(sys.argv[1])) as folder:
    (folder / "weights").write_bytes(b"x" * 1000)
    print(folder, flush=True)
    sys.stdin.read()
"""


def test_a_folder_goes_when_it_is_done_or_fails(tmp_path: Path) -> None:
    """Neither the folder nor its lock is there afterwards."""
    with scratch(tmp_path) as folder:
        (folder / "a").touch()
    with pytest.raises(FileNotFoundError), scratch(tmp_path) as folder:
        (folder / "not" / "there").touch()
    with scratch(tmp_path) as folder:
        folder.rename(tmp_path / "kept")
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_what_a_killed_process_left_goes_with_the_next(tmp_path: Path) -> None:
    """The next process removes it, and leaves alone what another one is still making."""
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as killed, subprocess.Popen(command, **pipes) as alive:
        left, held = (Path(each.stdout.readline().strip()) for each in (killed, alive))
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        assert (left / "weights").is_file()
        with scratch(tmp_path):
            assert not left.exists()
            assert (held / "weights").is_file()
        alive.communicate("")
    assert list(tmp_path.iterdir()) == []
