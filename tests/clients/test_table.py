"""The table of clients, and the raw result behind it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from tests.clients import table
from tests.clients.__main__ import judged
from tests.clients.tries import TRIES


def told() -> Any:
    """The raw result."""
    return json.loads(table.RESULTS.read_text(encoding="utf-8"))


def test_every_client_got_what_it_should() -> None:
    """Each client that was tried found the order and the scores of a plain request."""
    found = told()["clients"]
    assert [each["client"] for each in found if not each["right"]] == []
    assert {each["client"] for each in found} == {each.name for each in TRIES}
    for each in found:
        assert judged(each, [tuple(pair) for pair in told()["expected"]])["right"]


def test_the_page_has_the_table() -> None:
    """What the page says of clients is what was measured; `make clients` writes it."""
    page = table.PAGE.read_text(encoding="utf-8")
    assert table.BEGIN + table.render() + table.END in page


def test_what_is_wrong_is_seen() -> None:
    """Another order, another score, or an error is no success."""
    expected = [(1, 1.0), (0, 0.5), (2, 0.25)]
    refused = {"refused": "Unauthorized"}
    assert judged({"pairs": [[1, 1.0], [0, 0.5]], **refused}, expected)["right"]
    assert not judged({"pairs": [[1, 1.0], [0, 0.5]]}, expected)["right"]
    for wrong in ([[0, 1.0], [1, 0.5]], [[1, 1.0], [0, 0.4]], [[1, 1.0]]):
        assert not judged({"pairs": wrong, **refused}, expected)["right"]
    assert not judged({"error": "KeyError", **refused}, expected)["right"]


def test_environments_have_what_is_tried() -> None:
    """Each client is in one of the two lists that `make clients` installs."""
    folder = Path(table.__file__).parent
    listed = "\n".join((folder / f"{name}.txt").read_text() for name in ("first", "second"))
    names = set(re.findall(r"^([\w-]+)", listed, re.MULTILINE))
    assert {each.package for each in TRIES} <= names
