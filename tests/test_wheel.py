"""What is in the wheel: three typed packages and the profiles, and nothing else."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_wheel(tmp_path: Path) -> None:
    """The wheel has the markers for type checkers, the profiles, the command, and no tests."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    subprocess.run(
        [*command, "--no-build-isolation", "--wheel-dir", str(tmp_path), str(ROOT)], check=True
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    packages = {"attnmass", "langchain_attn", "llama_index_attn"}
    assert {name.partition("/")[0] for name in names if ".dist-info" not in name} == packages
    assert {f"{package}/py.typed" for package in packages} <= set(names)
    shipped = {path.name for path in (ROOT / "attnmass" / "profiles" / "data").glob("*.json")}
    assert {f"attnmass/profiles/data/{name}" for name in shipped} <= set(names)
    rooms = (ROOT / "attnmass" / "explain").iterdir()
    drawing = {path.name for path in rooms if path.suffix in (".html", ".css", ".js", ".svg")}
    assert {"page.html", "page.css", "page.js", "frame.html", "picture.svg"} <= drawing
    assert {f"attnmass/explain/{name}" for name in drawing} <= set(names)
    assert "attnmass/serving/docs.html" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    (scripts,) = [name for name in names if name.endswith("entry_points.txt")]
    assert "attnmass = attnmass.cli:main" in zipfile.ZipFile(wheel).read(scripts).decode()


def test_a_release_is_started_by_hand_only() -> None:
    """The workflow has no other trigger, tries what it built, and has no password."""
    text = (ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8")
    triggers = re.search(r"^on:\n((?:  .*\n)+)", text, re.MULTILINE)
    assert triggers is not None
    assert re.findall(r"^  (\w+):", triggers[1], re.MULTILINE) == ["workflow_dispatch"]
    assert text.index("make dist-check") < text.index("gh-action-pypi-publish")
    assert re.findall(r"^ +([\w-]+): write", text, re.MULTILINE) == ["id-token"]
    assert "secrets." not in text
