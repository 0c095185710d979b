"""The drawing in a terminal, with colours and without."""

from __future__ import annotations

import io
import re
import subprocess
import sys

import pytest
from rich.console import Console

from attnmass import AttentionRanker, Chunk, Ranking, Trim
from tests.explain.support import CHUNKS, HOSTILE, rank

ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


def drawn(ranking: Ranking, *, encoding: str = "utf-8", **options: object) -> str:
    """What a terminal of 100 columns gets."""
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, errors="replace", newline="")
    console = Console(file=file, width=100, **options)  # type: ignore[arg-type]
    console.print(ranking.explain())
    file.flush()
    return raw.getvalue().decode(encoding)


@pytest.fixture
def trimmed(ranker: AttentionRanker) -> Ranking:
    """Some kept, some not."""
    return rank(ranker, [*CHUNKS, " "], top_n=2, trim=Trim(keep_ratio=0.5), query_words=True)


def test_colours_are_of_the_256(trimmed: Ranking) -> None:
    """A terminal of 256 colours gets shades of these, and no others."""
    text = drawn(trimmed, force_terminal=True, color_system="256")
    codes = set(re.findall(r"\x1b\[([0-9;]*)m", text))
    assert any(code.startswith("38;5;16;48;5;") or ";48;5;" in code for code in codes)
    assert not any("48;2;" in code for code in codes)
    assert "[[" not in ESCAPE.sub("", text)


@pytest.mark.parametrize("options", [{}, {"force_terminal": True, "no_color": True}])
def test_readable_without_colours(trimmed: Ranking, options: dict[str, bool]) -> None:
    """A pipe gets no escapes; words with much mass are in brackets, sentences have signs."""
    text = drawn(trimmed, **options)
    if not options:
        assert "\x1b" not in text
    text = ESCAPE.sub("", text)
    assert "48;5" not in text
    assert re.search(r"\[\[\S+\]\]", text.split("left out", 1)[1])
    assert "✓ " in text
    assert "✗ (no room in keep_ratio)" in text
    assert "✗ left out: not among the top_n" in text
    assert "nothing to read" in text
    assert "█" in text
    assert "mass 0." in text
    flat = " ".join(text.replace("[", "").replace("]", "").split())
    for chunk in trimmed.chunks:
        source = CHUNKS[chunk.index]
        assert (source.title or "Chunk") in flat
        assert f"was {chunk.index + 1}" in flat


def test_texts_of_what_is_left_out_are_not_drawn(ranker: AttentionRanker) -> None:
    """Names and reasons are, and where the texts are is told; if nothing is kept, the best's is."""
    chunks = [Chunk(f"Here is number {n}.", title=f"T{n}") for n in range(3)]
    some = drawn(rank(ranker, chunks, top_n=1))
    none = drawn(rank(ranker, chunks, evidence_threshold=1.0, on_no_evidence="empty"))
    for text in (some, none):
        assert all(f"T{n}\n" in text for n in range(3))
        assert len(re.findall(r"Here[]\[\s]+is[]\[\s]+number", text)) == 1
        assert text.count("on the page: to_html()") == 1
    assert "on the page: to_html()" not in drawn(rank(ranker, chunks))


def test_ascii_terminal_gets_ascii_signs(trimmed: Ranking) -> None:
    """Where there is nothing but ASCII, so are the signs."""
    text = drawn(trimmed, encoding="ascii")
    assert "?" not in text.replace("relativity?", "").replace(" '?'", "")
    assert "+ " in text
    assert "- left out" in text
    assert "###" in text


def test_hostile_text_does_not_steer_the_terminal(ranker: AttentionRanker) -> None:
    """No escape, control or override character of a chunk gets through, and markup is text."""
    text = drawn(rank(ranker, HOSTILE))
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
    text.encode("utf-8")
    flat = re.sub(r"\[+(\S*?)\]+", r"\1", text)
    assert "rich markup" in flat.replace("[", "").replace("]", "")
    assert "link=file:///etc/passwd" in re.sub(r"[\[\]\s]", "", text)
    assert "␛" in text


def test_print_takes_a_head_and_a_word(trimmed: Ranking) -> None:
    """One head, or one word of the query, can be looked at."""
    explanation = trimmed.explain()
    file = io.StringIO()
    head = explanation.heads[1]
    explanation.print(Console(file=file, width=100), head=head, query_word=3)
    assert f"Layer {head[0]}, head {head[1]}" in file.getvalue()
    assert "from 'theory'" in file.getvalue()
    other = drawn(trimmed)
    assert "the whole query" in other
    assert re.findall(r"mass (0\.\d+)", file.getvalue()) != re.findall(r"mass (0\.\d+)", other)
    with pytest.raises(ValueError, match="was not read"):
        explanation.print(head=(7, 7))


def test_print_goes_to_standard_output(
    trimmed: Ranking, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a console it prints as any program does."""
    trimmed.explain().print()
    assert "Evidence" in capsys.readouterr().out


def test_nothing_to_show(ranker: AttentionRanker) -> None:
    """An empty ranking can be drawn."""
    assert "Evidence 0.000" in drawn(rank(ranker, []))


def test_without_rich_the_error_names_the_extra() -> None:
    """Where rich is not installed, the terminal says how to get it, and all else works."""
    code = (
        "import sys; sys.modules['rich'] = sys.modules['rich.console'] = None\n"
        "from attnmass.results.drawn import View\n"
        "from attnmass.results.explanation import Explanation\n"
        "told = dict(query='q', model='m', heads=(), views=(View('all', ()),), chunks=())\n"
        "told |= dict(threshold=None, query_words=(), evidence=0.0, no_evidence=False)\n"
        "drawing = Explanation(**told)\n"
        "drawing.to_json()\n"
        "try:\n    drawing.print()\n"
        "except ImportError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'attnmass[explain]'" in done.stdout
