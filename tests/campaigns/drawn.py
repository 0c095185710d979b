"""Draw random hostile texts in every way there is: no markup, no control characters, linear time.

python -m tests.campaigns.drawn [--size N] [--seed S]

`make campaign SIZE=N` runs it, over a model that is tiny, but real.
"""

from __future__ import annotations

import io
import json
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from random import Random
from xml.etree import ElementTree

from rich.console import Console

from attnmass import AttentionRanker, Chunk, Ranking, Trim
from attnmass.results.attribution import Attribution
from attnmass.results.drawn import Drawn
from tests.campaigns.entry import line, run, small_ranker, tried
from tests.explain.support import HOSTILE, Page
from tests.trimming.random_chunks import texts

# Seconds of the processor that all drawings of a ranking may take, and what a character may add:
# some ten times what the slowest took.
SECONDS, SECONDS_A_CHARACTER = 3.0, 0.001

_PIECES = [
    *HOSTILE,
    "\x1b]8;;http://evil\x07link\x1b]8;;\x07",
    "\x1b]0;title\x1b\\\x1bP1;2q\x1b\\\x1b[2J\x1b[H\x9d52;c;aGk=\x9c",
    "\r\r\n\n\r\x0b\x0c\x85\u2028\u2029",
    "\u202e\u2066\u2067\u2068\u2069\u202a\u202b\u202d\u200e\u200f\u061c",
    "e" + "\u0301" * 200,
    "\U0001f468\u200d" * 100,
    "\ufeff\ufffe\uffff\U0001fffe\ue000\U000e0001\U0010ffff",
    "<svg/onload=alert(1)>&#x3c;script&#x3e;<![CDATA[ ]]><?xml?><!DOCTYPE x>",
    "<a href='javascript:x'>y</a><form action=//x><input autofocus onfocus=x>",
    "</title></textarea></noscript></template></iframe><base href=//x><meta http-equiv=refresh>",
    "' onmouseover='x' \" style=\"x\" `x` ${x} {{x}} {%x%} {#x#}",
    "[![x](y)](javascript:z) **b** `c` $x$ <!-- x --> --!> -->",
    '{"a": "</script>", "b": "\\u2028"} \\ud800 \\x1b %s {0} {query}',
    "[red]x[/red] [/] [link=http://x]y[/link] \\[x] :bomb:",
    "word " * 300,
    "x" * 3000,
    "- x\n" * 200,
    "# h\n\n" * 100,
]
_QUERIES = [
    "Who?",
    "<script>alert(1)</script>?",
    "\x1b[31m Who \u202e is \x07?",
    "a\ud800 \uffff b",
]

# What may steer a terminal, or turn the direction of what follows on its line.
_STEERS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")
_COLOURS = re.compile("\x1b\\[[0-9;]*m")


def hostile(numbers: Random, longest: int = 6) -> str:
    """Pieces of all kinds in a row, now and then very many of one."""
    known = [*_PIECES, numbers.choice(texts())]
    if numbers.random() < 0.1:
        return numbers.choice(known) * numbers.randint(2, 40)
    between = numbers.choice([" ", "\n", "\r\n", "\n\n", ""])
    return between.join(numbers.choice(known) for _ in range(numbers.randint(0, longest)))


def chunks(numbers: Random) -> list[Chunk]:
    """One to four, of which some have titles and context."""

    def perhaps() -> str:
        return hostile(numbers, 2) if numbers.random() < 0.5 else ""

    return [
        Chunk(
            hostile(numbers),
            title=numbers.choice([None, perhaps()]),
            before=perhaps(),
            after=perhaps(),
            metadata={perhaps(): perhaps()},
        )
        for _ in range(numbers.randint(1, 4))
    ]


def markup(pages: Iterable[str]) -> set[tuple[str, str]]:
    """Elements of pages with their attributes, by name.

    Raises:
        AssertionError: If one does not close what it opens, or leads out of itself.
    """
    found: set[tuple[str, str]] = set()
    for text in pages:
        page = Page(text)
        assert not page.unclosed, page.unclosed
        assert not page.open, page.open
        for element in page.elements:
            found.add((element["tag"], ""))
            found |= {(element["tag"], name) for name in element["attrs"]}
            assert element["attrs"].get("href", "#").startswith("#"), element["attrs"]
    return found


def pages(ranking: Ranking, attribution: Attribution) -> Iterator[str]:
    """All of HTML that is made of them: pages, a notebook's cells."""
    for explained in (ranking.explain(), attribution.explain()):
        yield explained.to_html()
        yield explained._repr_html_()
    yield ranking._repr_html_()


def check_lines(text: str, *, coloured: bool = False) -> None:
    """Hold what is printed to lines of what can be shown.

    Raises:
        AssertionError: If something in it steers.
    """
    plain = _COLOURS.sub("", text) if coloured else text
    assert not (found := _STEERS.search(plain)), (found, plain[max(0, found.start() - 40) :][:80])


def check_drawn(drawn: Drawn) -> None:
    """Hold all drawings of something to their promises but for pages.

    Raises:
        AssertionError: If one is not kept.
    """
    for coloured in (False, True):
        out = io.StringIO()
        system = "256" if coloured else None
        console = Console(file=out, width=100, force_terminal=coloured, color_system=system)  # type: ignore[arg-type]
        console.print(drawn)
        check_lines(out.getvalue(), coloured=coloured)
    check_lines(repr(drawn))
    found = json.loads(drawn.to_json(), parse_constant=lambda name: 1 / 0)
    assert found == drawn.to_dict()
    for chunk in found["chunks"]:
        read = chunk["read"]
        assert "".join(read[piece["start"] : piece["end"]] for piece in chunk["pieces"]) == read
        places = [(word["start"], word["end"]) for word in chunk["words"]]
        assert places == sorted(places)
        assert all(0 <= start < end <= len(read) for start, end in places)


def check_spans(ranking: Ranking, given: list[Chunk]) -> int:
    """Hold spans to the texts that they are of; how many there are.

    Raises:
        AssertionError: If one is out of its text, or what is kept is not made of them.
    """
    count = 0
    for chunk in (*ranking.chunks, *ranking.dropped):
        text, last = given[chunk.index].text, 0
        for span in chunk.spans:
            assert last <= span.start < span.end <= len(text)
            last = span.end
        place = 0
        for span in chunk.kept_spans:
            place = chunk.text.index(text[span.start : span.end], place)
        count += len(chunk.spans)
    return count


def drawing(ranker: AttentionRanker, known: set[tuple[str, str]], seed: int) -> tuple[int, float]:
    """Draw one list of chunks in every way.

    Args:
        ranker: What ranks them.
        known: The `markup` of pages of harmless texts.
        seed: Which texts.

    Returns:
        How many spans there are, and which part of the time it may take it took.

    Raises:
        AssertionError: If something gets out of a text, or it took too long.
    """
    numbers = Random(seed)
    given, query = chunks(numbers), numbers.choice(_QUERIES)
    trim = Trim(
        max_tokens=numbers.choice([None, 5, 200]),
        keep_ratio=numbers.choice([0.2, 0.7, 1.0]),
        on_empty="cut",
    )
    started = time.process_time()
    ranking = ranker.rank(
        query, given, trim=numbers.choice([None, trim]), query_words=numbers.random() < 0.5
    )
    count = check_spans(ranking, given)
    attribution = ranker.attribute(query, given, f"{hostile(numbers)[:200]} No.")
    assert (more := markup(pages(ranking, attribution)) - known) == set(), more
    explained = ranking.explain()
    check_drawn(explained)
    check_drawn(attribution.explain())
    check_lines(repr(ranking) + str(ranking) + "".join(map(repr, ranking.chunks)))
    check_lines(repr(attribution))
    assert json.loads(json.dumps(ranking.to_dict(), allow_nan=False)) is not None
    picture = ElementTree.fromstring(explained.to_svg())
    names = {element.tag.partition("}")[2] for element in picture.iter()}
    assert names <= {"svg", "style", "rect", "line", "text"}, names
    took = time.process_time() - started
    n_characters = sum(len(c.text + (c.title or "") + c.before + c.after) for c in given)
    allowed = SECONDS + SECONDS_A_CHARACTER * n_characters
    assert took < allowed, f"{took:.1f} s for what may take {allowed:.1f} s"
    return count, took / allowed


def harmless(ranker: AttentionRanker) -> set[tuple[str, str]]:
    """The `markup` of pages that have all that pages may have."""
    plain = [
        Chunk("One is here. Two is there. Three.", title="T", before="b\n", after="\na"),
        Chunk("# Heading\n\n- item one\n- item two\n\nMore of it. And more."),
        Chunk("word " * 50),
        "",
    ]
    found: set[tuple[str, str]] = set()
    for asked in (
        None,
        Trim(keep_ratio=0.3),
        Trim(keep_ratio=1.0),
        Trim(max_tokens=8, on_empty="cut"),
    ):
        for words in (False, True):
            for some in (
                plain,
                plain[:1],
                plain[3:],
                [*plain, *plain, *plain, *plain, *plain, *plain],
            ):
                ranking = ranker.rank("Who is two?", some, trim=asked, query_words=words, top_n=22)
                answered = ranker.attribute("Who is two?", some, "One is. Two is not there.")
                found |= markup(pages(ranking, answered))
    return found


def campaign(size: int, seed: int = 0) -> Counter[str]:
    """So many lists of chunks, drawn; how many there were, and how many spans.

    Raises:
        AssertionError: If something does not hold, with the seed.
    """
    ranker = small_ranker()
    known = harmless(ranker)
    numbers = range(seed, seed + size)
    attempts = ((str(number), partial(drawing, ranker, known, number)) for number in numbers)
    return tried("drawings", "spans", attempts)


def main() -> None:
    """Run as often as is asked, and say what came of it."""
    print(line(run(__doc__, campaign, 100)))


if __name__ == "__main__":
    main()
