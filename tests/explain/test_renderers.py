"""Renderers from outside: they register, and results find them by name."""

from __future__ import annotations

import pickle
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from pkgutil import resolve_name

import pytest

from attnmass import AttentionRanker, Ranking, Trim
from attnmass.explain.renderers import RENDERERS
from attnmass.results import renderers
from attnmass.results.drawn import Drawn
from attnmass.results.explanation import Explanation
from attnmass.results.renderers import renders
from tests.explain.support import rank


@pytest.fixture
def trimmed(ranker: AttentionRanker) -> Ranking:
    """A ranking to draw."""
    return rank(ranker, trim=Trim(keep_ratio=0.5))


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is gone after it."""
    import_module("attnmass.explain")  # or what it registers were gone, too
    monkeypatch.setattr(renderers, "_known", dict(renderers._known))


def test_a_renderer_from_outside(trimmed: Ranking) -> None:
    """A function that is registered draws, with its own options."""

    @renders(Explanation, "lines")
    def lines(explanation: Explanation, *, mark: str = "-") -> list[str]:
        return [f"{mark} {chunk.read}" for chunk in explanation.chunks]

    explanation = trimmed.explain()
    expected = [f"* {chunk.read}" for chunk in explanation.chunks]
    assert explanation.draw("lines", mark="*") == expected
    assert len(expected) > 1


@pytest.mark.parametrize("place", [place for _, _, place in RENDERERS])
def test_what_is_imported_late_is_there(place: str) -> None:
    """Each renderer that ships is where the table says."""
    assert callable(resolve_name(f"attnmass.explain.{place}"))


def test_a_kind_of_its_own_comes_first(trimmed: Ranking) -> None:
    """What is registered for a class counts before what is registered for one above it."""
    renders(Drawn, "name")(lambda drawn: "any")
    explanation = trimmed.explain()
    assert explanation.draw("name") == "any"
    renders(Explanation, "name")(lambda explanation: "ranking")
    assert explanation.draw("name") == "ranking"


def test_the_later_of_two_counts(trimmed: Ranking) -> None:
    """A renderer can be replaced, and all that draws by its name uses the new one."""
    renders(Explanation, "html")(lambda explanation: f"<p>{explanation.query}</p>")
    explanation = trimmed.explain()
    assert explanation.to_html() == f"<p>{explanation.query}</p>"


def test_an_unknown_name_is_an_error_with_the_known_ones(trimmed: Ranking) -> None:
    """Nothing is drawn by a name that nobody registered."""
    with pytest.raises(ValueError, match=r"as 'gif'.*'cell', 'dict', 'html', 'svg', 'terminal'"):
        trimmed.explain().draw("gif")


def test_what_nothing_draws_at_all() -> None:
    """The error says how to register something where there is nothing to choose from."""
    with pytest.raises(ValueError, match=r"draws int as 'html': register it with .*renders"):
        renderers.renderer(1, "html")


def test_a_result_is_explained_where_nothing_was_ranked(trimmed: Ranking, tmp_path: Path) -> None:
    """A ranking that is read back in another process is drawn there, and no model is needed."""
    file = tmp_path / "ranking.pickle"
    file.write_bytes(pickle.dumps(trimmed))
    code = (
        "import pickle, sys\n"
        f"ranking = pickle.load(open({str(file)!r}, 'rb'))\n"
        "print(len(ranking.explain().to_json()), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(len(trimmed.explain().to_json())), "False"]
