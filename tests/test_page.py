"""The example's page in headless Chromium, as Streamlit serves it."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.explain.conftest import CHROMIUM

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytest.importorskip("streamlit")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.enable_socket,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium"),
]
PAGE = Path(__file__).parents[1] / "examples" / "page.py"
PATIENCE = 300  # seconds until the model is loaded and has read
TEXTS = "Rome is the capital of Italy.\n---\nParis is the capital of France.\n---\nBears eat fish."


@pytest.fixture
def url() -> Iterator[str]:
    """Where it is served."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", str(PAGE), "--server.headless=true"]
    command += [f"--server.port={port}", "--server.address=127.0.0.1"]
    process = subprocess.Popen([*command, "--browser.gatherUsageStats=false"])
    where = f"http://127.0.0.1:{port}"
    try:
        wait_for(f"{where}/_stcore/health")
        yield where
    finally:
        process.terminate()
        process.wait()


def wait_for(url: str) -> None:
    """Until something answers."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            with urllib.request.urlopen(url) as answer:
                answer.read()
            return
        except OSError:
            assert time.monotonic() < end
            time.sleep(0.2)


def test_page_draws_the_heat_map(url: str) -> None:
    """What is pasted is ranked and drawn, by its own script; nothing is asked of other hosts."""
    with sync_api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM)
        tab = browser.new_page(viewport={"width": 1280, "height": 1400})
        asked: list[str] = []
        tab.on("request", lambda request: asked.append(request.url))
        tab.set_default_timeout(PATIENCE * 1000)
        tab.goto(url)
        tab.get_by_role("textbox", name="Texts").fill(TEXTS)
        tab.get_by_role("textbox", name="Texts").press("Control+Enter")
        tab.get_by_role("textbox", name="Question").fill("What is the capital of France?")
        tab.get_by_role("textbox", name="Question").press("Enter")
        page = tab.frame_locator("iframe")
        first = page.locator("article", has_text="Paris is the capital of France.")
        first.wait_for()
        page.get_by_text("What is the capital of France?").first.wait_for()
        assert "1." in page.locator("article").first.inner_text()
        before = page.locator("#status").inner_text()
        page.locator("#heads").select_option(index=1)
        assert page.locator("#status").inner_text() != before
        assert tab.get_by_text("Nothing here seems to answer that.").count() == 0
        assert {address.partition("://")[2].partition("/")[0] for address in asked} <= {
            url.partition("://")[2],
            "",
        }
        browser.close()
