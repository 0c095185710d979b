"""Logs, stack traces, subtitles, CSV and code that nothing marks, by files of each kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from attnmass.text.segmentation import segment
from tests.text.segmentation.pieces import check, kinds, pieces

FILES = Path(__file__).parent / "files"
# By file: kind, first line and number of lines of each span.
EXPECTED = {
    "code_java.txt": [
        ("sentence", "How to open the lock:", 1),
        ("code", "package vells.locks;", 1),
        ("code", "import java.util.List;", 1),
        ("code", "public final class Lock {", 2),
        ("code", "public Lock(List<String> gates) {", 3),
        ("code", "/* Opens them all. Waits for none. */", 7),
        ("sentence", "The gates then stay open.", 1),
        ("sentence", "They close by themselves at noon.", 1),
    ],
    "code_javascript.txt": [
        ("code", "const tides = new Map();", 1),
        ("code", "// Called once for each harbour. Keeps the last answer.", 8),
        ("code", 'window.addEventListener("load", () => {', 3),
    ],
    "code_python.txt": [
        ("sentence", "The loader reads a table once and keeps it.", 1),
        ("sentence", "It was written for the harbour office.", 1),
        ("code", "import csv", 2),
        ("code", "LIMIT = 40  # rows that are shown", 1),
        ("code", "# Where the tables are.", 2),
        ("code", "def load(name: str) -> list[dict[str, str]]:", 5),
        ("code", "class Table:", 3),
        ("code", "def total(self, column):", 2),
        ("sentence", "Nobody has changed it since.", 1),
        ("sentence", "The office closed in March.", 1),
    ],
    "log_access.txt": [
        ("code", '10.0.0.1 - kim [01/Apr/2031:10:00:00 +0000] "GET /ships HTTP/1.1" 200 12', 1),
        ("code", '10.0.0.2 - - [01/Apr/2031:10:00:01 +0000] "GET /tides HTTP/1.1" 404 0', 1),
    ],
    "log_levels.txt": [
        ("code", "[INFO] Reading the plan. It has 4 steps.", 1),
        ("code", "[ERROR] Step 3: the crane does not answer", 1),
        ("code", "INFO: giving up", 1),
    ],
    "log_service.txt": [
        ("sentence", "The harbour's service wrote this on Friday.", 1),
        ("sentence", "It was restarted twice.", 1),
        ("code", "2031-04-01 10:00:00,120 INFO worker-0 finished batch 0. Next is 1.", 1),
        ("code", "2031-04-01 10:01:00,004 WARNING worker-1 is late", 3),
        ("code", "2031-04-01 10:02:00,311 ERROR worker-2 failed", 1),
        ("code", "Traceback (most recent call last):", 3),
        ("code", "OSError: the line is dead", 1),
        ("code", "2031-04-01 10:03:00,700 INFO worker-0 finished batch 3", 1),
        ("sentence", "Nobody was hurt.", 1),
    ],
    "log_syslog.txt": [
        ("code", "Apr  1 10:00:00 vells sshd[41]: Accepted key for kim. Session 1.", 1),
        ("code", "Apr  1 10:00:07 vells kernel: eth0: link is down", 1),
        ("code", "Apr  1 10:00:09 vells kernel: eth0: link is up", 1),
    ],
    "rows_comma.txt": [
        ("sentence", "Orders of the spring.", 1),
        ("sentence", "All were paid.", 1),
        ("heading", "order,customer,note,total", 1),
        ("table", '1000,Ana,"By ship. In May, if it can be done",10.50', 1),
        ("table", '1001,Ben,"Two lines', 2),
        ("table", "1002,Kim,,84.50", 1),
        ("sentence", "Nothing was sent back.", 1),
    ],
    "rows_cut.txt": [
        ("table", "el;Lyon;4", 1),
        ("table", "13;Lyon;36,0", 1),
        ("table", "14;Gent;18,2", 1),
        ("table", "15;Turin;20,0", 1),
    ],
    "rows_semicolon.txt": [
        ("table", "12;Vells;40,5", 1),
        ("table", "13;Lyon;36,0", 1),
        ("table", "14;Gent;18,2", 1),
        ("table", "15;Tu", 1),
    ],
    "rows_tab.txt": [
        ("heading", "ship\tharbour\tlength", 1),
        ("table", "Ada\tVells\t40", 1),
        ("table", "Ida\tLyon\t36", 1),
    ],
    "subtitles.srt": [
        ("sentence", "1", 4),
        ("sentence", "2", 4),
        ("sentence", "3", 3),
    ],
    "subtitles.vtt": [
        ("heading", "WEBVTT", 1),
        ("sentence", "00:01.000 --> 00:03.500", 2),
        ("sentence", "arrival", 3),
    ],
    "trace_go.txt": [
        ("code", "goroutine 1 [running]:", 1),
        ("code", "main.next(0x2a)", 2),
        ("code", "main.main()", 2),
    ],
    "trace_java.txt": [
        (
            "code",
            'Exception in thread "main" java.lang.IllegalStateException: No tide. Try again.',
            1,
        ),
        ("code", "at vells.Tides.next(Tides.java:41)", 1),
        ("code", "at vells.Main.main(Main.java:7)", 1),
        ("code", "Caused by: java.io.IOException: The line is dead", 1),
        ("code", "at vells.Line.read(Line.java:12)", 1),
        ("code", "... 2 more", 1),
    ],
    "trace_node.txt": [
        ("sentence", "It ended at start-up.", 1),
        ("code", "TypeError: Cannot read properties of undefined (reading 'tide')", 1),
        ("code", "at next (/srv/tides.js:14:9)", 1),
        ("code", "at async Promise.all (index 0)", 1),
        ("code", "at /srv/main.js:3:1", 1),
    ],
    "trace_python.txt": [
        ("sentence", "The service starts at six.", 1),
        ("sentence", "It reads its prices when it starts.", 1),
        ("code", "Traceback (most recent call last):", 3),
        ("code", 'File "toml.py", line 88, in parse', 2),
        ("code", 'toml.BadKey: line 12: key "currency" appears twice', 1),
        ("sentence", "Then it stops.", 1),
        ("sentence", "Somebody has to call Kim.", 1),
    ],
}


@pytest.mark.parametrize("name", sorted(path.name for path in FILES.iterdir()))
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"], ids=repr)
@pytest.mark.parametrize("markdown", [True, False])
def test_files(name: str, line_end: str, markdown: bool) -> None:
    """Records, frames, cues, rows and parts of code are spans; prose around them is sentences."""
    text = FILES.joinpath(name).read_bytes().decode().replace("\n", line_end)
    check(text, segment(text, markdown=markdown))
    found = [
        (kind, piece.split(line_end)[0], piece.count(line_end) + 1)
        for kind, piece in kinds(text, markdown=markdown)
    ]
    assert found == EXPECTED[name]


@pytest.mark.parametrize("name", ["rows_comma.txt", "rows_tab.txt"])
def test_the_header_heads_its_rows_and_nothing_else(name: str) -> None:
    """The names of the columns are kept with any row, and not with what follows the rows."""
    text = FILES.joinpath(name).read_text()
    spans = segment(text)
    header = next(i for i, span in enumerate(spans) if span.kind == "heading")
    for span in spans:
        assert span.headings == ((header,) if span.kind == "table" else ())


def test_rows_stand_under_the_title_of_the_text() -> None:
    """What heads the text heads the rows, too, above their own header."""
    text = "# Orders\n\nid,city,total\n1,Gent,2\n2,Lyon,3\n\nAll paid."
    found = [(span.kind, span.headings) for span in segment(text)]
    assert found == [
        ("heading", ()),
        ("heading", (0,)),
        ("table", (0, 1)),
        ("table", (0, 1)),
        ("sentence", (0,)),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "Two roads diverged in a wood, and I,\nI took the one, less travelled,\nAnd that, of all,",
        "1,000 people came\n2,000 people left\n3,000 people stayed",
        "He came, saw, won.\nShe came, saw, left.\nThey came, saw, stayed.",
        "The seller pays the tax (a);\nthe buyer pays the fee (b);\nboth pay the rest (c);",
        "class is over;\nfor now (and ever),\nreturn to me, my love,\nif you will",
        "In the spring of 10:00:00 nobody came.\nAt 11 they did.",
        "He was\n    at the corner (of the street)\n    from dusk till dawn",
        "from the house of Kim\nimport of salt ended\nuse of it did not",
    ],
)
def test_prose_stays_prose(text: str) -> None:
    """Verse, clauses, large numbers and wrapped lines with words of a language are no data."""
    assert {kind for kind, _ in kinds(text)} <= {"sentence", "heading"}


@pytest.mark.parametrize(
    "text",
    [
        "- first:\n  run(a);\n  run(b);\n  run(c);\n- second",
        "1. a,b,c\n2. d,e,f\n3. g,h,i",
        "```\na,b,c\n1,2,3\n4,5,6\n```",
        "| a,b | c |\n|---|---|\n| 1,2 | 3 |\n| 1,2 | 3 |",
        "> a,b,c\n> 1,2,3\n> 4,5,6",
    ],
)
def test_what_is_marked_goes_by_its_marks(text: str) -> None:
    """Inside items, fences, tables and quotations nothing is looked for."""
    assert all(kind != "table" or piece.startswith("|") for kind, piece in kinds(text))
    assert not any(kind == "code" and not piece.startswith("```") for kind, piece in kinds(text))


def test_text_that_begins_in_a_fence_is_code_to_its_end() -> None:
    """Where fences are not in pairs, they alone say what is code."""
    code = "run(a);\nrun(b);\n\nrun(c);\n```"
    assert kinds(f"{code}\n\nProse. It is.\n\n```py\nd()\n```")[:2] == [
        ("code", code),
        ("sentence", "Prose."),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "Use System.Drawing.Image to load it.",
        "Call torch.Tensor first.",
        "It is in attnmass.ranker.AttentionRanker now.",
        "See java.util.List.Of and Node.JS for that.",
        "Version 2.Beta of A.B.C came.",
    ],
)
def test_dotted_names_are_one_word(text: str) -> None:
    """A full stop before a capital, without white space between them, ends no sentence."""
    assert pieces(text) == [text]


@pytest.mark.parametrize(
    "text",
    [
        "The country was in a severe crisis.|Indonesia was not.",
        "The famine lasted from 1846 to 1850.|After that it ended.",
        "今天天气很好.|你好吗",
        "It was late...|Right!",
    ],
)
def test_an_end_without_its_space(text: str) -> None:
    """What can be no name is an end all the same, as where a footnote's number was taken out."""
    assert pieces(text.replace("|", "")) == text.split("|")
