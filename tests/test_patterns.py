"""Patterns that texts from outside are matched with: none takes longer than in proportion."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import pkgutil
import re
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

import attnmass
import langchain_attn
import llama_index_attn
from attnmass.results.citations import Cited, Passage, cite
from attnmass.text.segmentation import segment

PACKAGES = (attnmass, llama_index_attn, langchain_attn)

LONG = 1_000_000  # characters
SHORT = 100_000  # where each of them is a line or a block
PATIENCE = 4.0  # seconds; what is quadratic takes minutes


# Cannot be imported where Ray is not installed, so it may have no patterns.
WITHOUT_PATTERNS = {"attnmass.serving.ray"}


def modules() -> Iterator[ModuleType]:
    """All modules of the three packages that may have patterns."""
    for package in PACKAGES:
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if found.name in WITHOUT_PATTERNS:
                spec = importlib.util.find_spec(found.name)
                assert spec is not None
                assert spec.origin is not None
                assert not re.search(
                    r"^(import|from) (re|regex)\b", Path(spec.origin).read_text(), re.M
                )
            elif not found.name.endswith("__main__"):
                yield importlib.import_module(found.name)


def searched(pattern: re.Pattern[str], text: str) -> None:
    """Find the pattern all over the text."""
    for _ in pattern.finditer(text):
        pass


def at_lines(pattern: re.Pattern[str], text: str) -> None:
    """Match the pattern at the beginning of each line, as patterns for one line are used."""
    for line in re.finditer("^", text, re.MULTILINE):
        pattern.match(text, line.start())


def whole(pattern: re.Pattern[str], text: str) -> None:
    """Match the pattern with all of the text."""
    pattern.fullmatch(text)


_CHARACTERS = ("a", " ", "\ud800", "\x00", "\u202e", "\r\n")
_LINES = (" ", "\x0b", "\n  x")
_SPACES = (" ", "\n ", "\r\n", "\r \n", "\x0b", "\u2028", "\n  x")
# By pattern: how it is used, and what its worst texts repeat, from a line's start or behind one.
WORST: dict[str, tuple[Callable[[re.Pattern[str], str], None], tuple[str, ...]]] = {
    "attnmass.results.markers._DIGITS": (searched, ("1", "1 ", "a")),
    "attnmass.results.markers._NO_MARK": (searched, ("{", "{n", "a")),
    "attnmass.cli.printable._CONTROL": (searched, _CHARACTERS),
    "attnmass.cli.printable._OVERRIDES": (searched, _CHARACTERS),
    "attnmass.cli.printable._SURROGATE": (searched, _CHARACTERS),
    "attnmass.cli.reading._BLANK_LINES": (searched, _SPACES),
    "attnmass.cli.records._SURROGATE": (searched, _CHARACTERS),
    "attnmass.explain.menu._ZEROS": (searched, ("0", "0a", "00")),
    "attnmass.explain.shown._OVERRIDES": (searched, _CHARACTERS),
    "attnmass.explain.shown._UNSHOWN": (searched, _CHARACTERS),
    "attnmass.fitting.queries.bm25._WORD": (searched, ("a", "a ", "\u0301")),
    "attnmass.fitting.queries.cloze._BLANK": (searched, _SPACES),
    "attnmass.fitting.queries.cloze._WORD": (searched, ("a", "a ", "_", "a.", "a-")),
    "attnmass.store.files._OLD_FORMAT": (whole, ("0", "0.")),
    "attnmass.text.segmentation.blocks._NUMBER": (at_lines, (*_LINES, "1", "1.")),
    "attnmass.text.segmentation.blocks._QUOTE_MARK": (at_lines, (*_LINES, ">", " >")),
    "attnmass.text.segmentation.blocks._WORD": (searched, (".", "_", "a")),
    "attnmass.text.segmentation.code_lines._BLOCK": (at_lines, ("if :", ": # ", "if x", "case :")),
    "attnmass.text.segmentation.code_lines._CALL": (at_lines, ("a", "a.", ">", "\u0301")),
    "attnmass.text.segmentation.code_lines._DECORATOR": (at_lines, ("@a.", "@a(", ")", "@a()")),
    "attnmass.text.segmentation.code_lines._IMPORT": (
        at_lines,
        ("import a.", "import a, ", ", a", "import a as b", "use a::{", "from a.", "a from '"),
    ),
    "attnmass.text.segmentation.code_lines._OPENING": (
        at_lines,
        ("if ;", "for do", "a {", "{a:", "$ a", "template <>", "class A<", "def a(", "@a{", "a.b "),
    ),
    "attnmass.text.segmentation.code_lines._SECTION": (at_lines, ("[", "[a", "a]", "[[a]]")),
    "attnmass.text.segmentation.code_lines._WORDS": (
        at_lines,
        ("SELECT ", "LEFT JOIN ", "LEFT ", "SET A", "FROM ,"),
    ),
    "attnmass.text.segmentation.code_lines._MARK": (at_lines, ("1", "-", "> ")),
    "attnmass.text.segmentation.code_lines._NAMES": (whole, ("a", "a ", "a.", "$", "*")),
    "attnmass.text.segmentation.code_lines._PAIR": (at_lines, ('"', '"a', '"a" ', '"a":')),
    "attnmass.text.segmentation.code_lines._STATEMENT": (
        at_lines,
        ("return ;", "end a", "return a"),
    ),
    "attnmass.text.segmentation.prose._BLANK_LINES": (searched, _SPACES),
    "attnmass.text.segmentation.prose._BULLET": (at_lines, (*_LINES, "•", "- ", "• ")),
    "attnmass.text.segmentation.prose._DASH": (at_lines, (*_LINES, "—", "— ")),
    "attnmass.text.segmentation.prose._NUMBER": (searched, (*_SPACES, "1. ", "\n1.", "\n1.  ")),
    "attnmass.text.segmentation.prose._WORD": (searched, (".", "_", "a")),
    "attnmass.text.segmentation.sentences._PHRASE_END": (searched, ("ไ ", " ", "ไ  a", "  ไ")),
    "attnmass.text.segmentation.sentences._SPACE": (searched, _CHARACTERS),
    "attnmass.text.segmentation.spans.LINE_END": (searched, ("\r", "\n", "\r\n", "a")),
    "attnmass.text.segmentation.spans._SURROGATE": (searched, _CHARACTERS),
    "attnmass.text.segmentation.bounds._CLOSING": (
        searched,
        ("<", "</p", "</p>", "</p> ", "</p>" + " " * 101, "</P>\n"),
    ),
    "attnmass.text.segmentation.cues._STAMP": (at_lines, (*_LINES, "1:", "1:00:", "1:00 ")),
    "attnmass.text.segmentation.marked._FILE": (at_lines, ("--- ", "diff -", "Index: ")),
    "attnmass.text.segmentation.marked._HUNK": (at_lines, ("@@ -1,", "@@ -1 +1 @", "1")),
    "attnmass.text.segmentation.marked._KEY": (at_lines, (*_LINES, "a", "a:", "a: ", "-", "a.")),
    "attnmass.text.segmentation.marked._RULE": (at_lines, ("-", "+-", "--+ ", " ")),
    "attnmass.text.segmentation.prose._LABEL": (
        searched,
        ("a", "A ", "A (", "A (a) ", "A b c d", "a:", "A.", "a.b", ": "),
    ),
    "attnmass.text.segmentation.traces._NUMBERED": (at_lines, (*_LINES, "#", "#1", " 1: ", "1")),
    "attnmass.text.segmentation.traces._PLACE": (at_lines, (*_LINES, " " * 8 + "at ", "\t")),
    "attnmass.text.segmentation.traces._AT": (
        at_lines,
        (*_LINES, " at a", " at a:1", " at a:1:1 ", ":1", " at a (", " ... 1", " Caused by: "),
    ),
    "attnmass.text.segmentation.traces._FRAME": (at_lines, (*_LINES, ' File "a', '"a", line ')),
    "attnmass.text.segmentation.traces._GOROUTINE": (at_lines, ("goroutine 1 [a", "1", "a]:")),
    "attnmass.text.segmentation.records._RECORD": (
        at_lines,
        (
            *(*_LINES, "10:00", "2031-04-01 ", "1.1.1.1 a a ", "INFO ", "ERROR  ", "[1.1", "["),
            *('{"a":}', '{"a": "b"', "a.b:1:", "/a", "a/", "Jan ", "1/1/1, ", "<1>", "ts=", "["),
        ),
    ),
    "attnmass.text.segmentation.cues._TIMING": (at_lines, ("1:", "1:00.0", "1:00.0 --> ", " ")),
    "attnmass.text.tokens._SURROGATE": (searched, _CHARACTERS),
    "attnmass.text.echo._OPENERS": (whole, ("who ", " ", "a")),
    "attnmass.text.rarity.UNSPACED": (searched, ("a", "今", " ")),
    "attnmass.text.rarity._WORD": (searched, ("a", "a ", "_")),
    "attnmass.text.echo._WORD": (searched, ("a", "a ", "_")),
    "attnmass.trimming.cut._UNSPACED": (searched, ("a", "今", " ")),
    "attnmass.trimming.duplicates._WORD": (searched, ("1", "1,", "-1", "-", "a", "€", "+", " ")),
    "attnmass.trimming.patterns._NUMBERS": (searched, ("1", "a")),
    "attnmass.trimming.patterns._AMOUNTS": (
        searched,
        ("1", "1,", "$", "$1", "$1,", "1 ", "1 k", "1 million ", "USD", "U", "$ ", "1 dolla "),
    ),
    "attnmass.trimming.patterns._PERCENTAGES": (searched, ("1", "1,", "1 ", "1 per", "1 per c")),
    "attnmass.trimming.patterns._DATES": (
        searched,
        ("1", "1-", "1.1.", "1 ", "1st of ", "May ", "May 1", "2000-1-", "1 May, ", "Sept. 1, "),
    ),
    "attnmass.trimming.patterns._IDENTIFIERS": (
        searched,
        ("a", "a-", "a1-", "1", "1a", "-", "#", "#1", "0000000a-", "abcdabcd-abcd-", "a_"),
    ),
    "attnmass.trimming.patterns._ERROR_CODES": (
        searched,
        ("A", "A_", "A-", "0x", "0xA", "E", "Err", "Error", "a", "code ", "code:", "1", "_A"),
    ),
    "attnmass.trimming.patterns._EMAILS": (searched, ("a", "a@", "a.", "a@a.", "@", "+", "a@a-")),
    "attnmass.trimming.patterns._URLS": (searched, ("a", "a:", "a+", "a:/", "www", "www.", "a://")),
    "attnmass.trimming.patterns._VERSIONS": (
        searched,
        ("1", "1.", "v", "v1.", "1.1.1-", "1.1.1", "1.1.1 ", "1.1.1-a.", "."),
    ),
}
# Where one is written where it is used: on what, and why that is no matter.
INSIDE = {
    "attnmass/cli/declared.py": "sentences of help, our own or those of who declares an option",
    "attnmass/cli/errors.py": "our own messages, with values of options that the user typed",
    "attnmass/loading/converted.py": "one class of characters, on the name of a file",
    "attnmass/options/checked.py": "the form of a text, as who declares the option has it",
    "attnmass/text/echo.py": "words of a query, a few characters apart: tests/text/test_echo.py",
    "attnmass/text/segmentation/sentences.py": "two characters, in a language code",
    "attnmass/trimming/patterns.py": "users' own, with a bound on their time",
}


def test_every_pattern_is_known() -> None:
    """Each pattern of the packages is in the table above, or in a file that is named there."""
    known = [getattr(importlib.import_module(m), name) for m, _, name in _split(WORST)]
    for module in modules():
        for name, value in vars(module).items():
            if isinstance(value, re.Pattern):
                assert any(value is one for one in known), f"{module.__name__}.{name}"
    root = Path(attnmass.__file__).parents[1]
    inside = {
        path.relative_to(root).as_posix()
        for package in PACKAGES
        for path in Path(package.__path__[0]).rglob("*.py")
        for function in ast.walk(ast.parse(path.read_text()))
        if isinstance(function, ast.FunctionDef)
        for call in ast.walk(function)
        if isinstance(call, ast.Attribute)
        if isinstance(call.value, ast.Name) and call.value.id in ("re", "regex")
        if call.attr in ("compile", "findall", "finditer", "fullmatch", "match", "search")
        or call.attr in ("split", "sub", "subn")
    }
    assert inside == set(INSIDE)


@pytest.mark.parametrize("name", WORST)
def test_patterns_are_linear(name: str) -> None:
    """A megabyte of a pattern's worst text takes no longer than one of prose."""
    use, parts = WORST[name]
    [(module, _, attribute)] = _split([name])
    pattern = getattr(importlib.import_module(module), attribute)
    for part in parts:
        text = part * (LONG // len(part))
        started = time.process_time()
        use(pattern, f"{text}a")
        use(pattern, f"-\n{text}a")
        assert time.process_time() - started < PATIENCE, part


def _split(names: Iterable[str]) -> list[tuple[str, str, str]]:
    return [name.rpartition(".") for name in names]


@pytest.mark.parametrize("marker", ["[{n}]", "[S{n}]", "{n}", "; {n} !", "S{n};", "- {n}  x"])
@pytest.mark.parametrize(
    "part", ["1, ", "1; ", "S1,", ";1", "[1", "[ ", " ", "[S1; ", "1", "- 1  "]
)
def test_markers_are_found_in_linear_time(marker: str, part: str) -> None:
    """An answer, or a chunk, that is almost a list of all sources stops nothing."""
    started = time.process_time()
    Cited("", (), marker).resolve("See [" + part * (SHORT // len(part)) + "x].")
    assert time.process_time() - started < PATIENCE


def test_thousands_of_spans_are_cited_in_linear_time() -> None:
    """Each span costs as much as the first."""
    text = "One is it. " * 40_000
    spans = [(str(n), 11 * n, 11 * n + 10) for n in range(0, 40_000, 2)]
    started = time.process_time()
    cited = cite([Passage(text, spans)])
    assert time.process_time() - started < PATIENCE
    assert cited.text.endswith("One is it. [20000]")


@pytest.mark.parametrize(
    "text",
    [
        "- x\n" * (SHORT // 4),
        "```\n" + "~" * LONG + "`\n```\n",
        "```\n~~~" + " " * LONG + "`\n```\n",
        "x\n```" + " " * LONG + "`\n",
        "<a" + " a" * (LONG // 2),
        "<a a" + " " * LONG + "x",
        "a" + " " * LONG + "b",
        "\n" + "\x0b" * LONG + "b",
        "•" + "\u2028" * LONG,
        "ไ" + " " * LONG + "a",
        "2031-04-01 10:00 a\nb\n" * (SHORT // 21),
        "2031-04-01 10:00 a\n" + "b\n" * (SHORT // 2),
        "#1 a\n" * (SHORT // 5),
        " 1: a\n" + "         at b\n" * (SHORT // 14),
        "0:00\n" * (SHORT // 5),
        "0:00\na\n" * (SHORT // 7),
        "--- a\n" * (SHORT // 6),
        "@@ -1 +1 @@\n" * (SHORT // 12),
        "a:\n  b: c\n" * (SHORT // 10),
        "a: b\n\n" * (SHORT // 6),
        "a | b\n----+--\n" * (SHORT // 14),
        "+--+\n|a|\n" * (SHORT // 9),
        "Ann: a\nBob: b\n" * (SHORT // 14),
        "f(\nword\n" * (SHORT // 8),
        "/*\n" * (SHORT // 3),
        '"""\n' * (SHORT // 4),
        "<p>" + "a" * LONG + "</p>",
        "a}" * LONG,
    ],
    ids=lambda text: repr(text[:6]),
)
def test_segmenting_is_linear(text: str) -> None:
    """A list of many items, an endless fence, tag or line of white space cost what prose costs."""
    started = time.process_time()
    segment(text)
    assert time.process_time() - started < PATIENCE
