"""A heat map: which words the query looked at, what was kept of each article, and why.

python examples/heat_map.py [FILE.html [FILE.png]]; the picture needs playwright and Chromium.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from corpus import QUESTIONS, read_articles
from transformers.utils import logging

from attnmass import AttentionRanker, Chunk, Trim

logging.disable_progress_bar()
N_PARAGRAPHS = 2  # of each article


def main() -> None:
    """Write the page, and say in the terminal what it shows for the best article."""
    page = Path(sys.argv[1] if len(sys.argv) > 1 else "heat_map.html")
    chunks = [
        Chunk("\n\n".join(article["text"].split("\n\n")[:N_PARAGRAPHS]), title=article["title"])
        for article in read_articles()
    ]
    ranker = AttentionRanker.from_pretrained("smollm2-135m")
    trim = Trim(max_tokens=250)
    ranking = ranker.rank(QUESTIONS[0], chunks, top_n=4, trim=trim, query_words=True)
    explanation = ranking.explain()
    explanation.to_html(page)
    explanation.print()
    print(f"\nOpen {page} in a browser.")
    if len(sys.argv) > 2:
        take_picture(page, Path(sys.argv[2]))


def take_picture(page: Path, picture: Path) -> None:
    """Open a page in Chromium and save what is seen first."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"))
        tab = browser.new_page(viewport={"width": 1000, "height": 840})
        tab.goto(page.resolve().as_uri())
        tab.screenshot(path=picture)
        browser.close()


if __name__ == "__main__":
    main()
