"""What the documentation shows is run, page by page, and the site builds without a warning."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[1]
PAGES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md"))


def blocks(page: str) -> list[str]:
    """The Python blocks of a page, but for programs that are included whole and run elsewhere."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = [token for token in MarkdownIt().parse(text) if token.type == "fence"]
    return [token.content for token in found if token.info == "python"]


def test_pages_have_code() -> None:
    """Both tutorials and most how-to pages show code, so that the test below is no empty one."""
    assert sum(bool(blocks(page)) for page in PAGES) >= 8


def test_included_files_are_there() -> None:
    """What looks like the inclusion of a file is one, and the file is there.

    Formatters of code in Markdown take the sign for an operator and put spaces into it.
    """
    included = []
    for page in PAGES:
        for line in (ROOT / page).read_text(encoding="utf-8").splitlines():
            if line.lstrip().startswith("--8"):
                found = re.fullmatch(r'--8<-- "([\w./-]+)(?::\w+)?"', line)
                assert found, f"{page}: {line}"
                included.append(found[1])
    assert len(included) >= 4
    assert [name for name in included if not (ROOT / name).is_file()] == []


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)])
def test_code_of_a_page_runs(page: str, tmp_path: Path) -> None:
    """The blocks of a page, one after the other, run as they stand and what they assert holds."""
    program = tmp_path / "page.py"
    program.write_text("\n".join(blocks(page)), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(program)],
        cwd=ROOT,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_site_builds_without_a_warning(tmp_path: Path) -> None:
    """Links, anchors, references and included files are there."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "http" not in "".join(
        line
        for line in (tmp_path / "index.html").read_text(encoding="utf-8").splitlines()
        if "<script" in line or 'rel="stylesheet"' in line
    )
