"""Rankings to draw, and a reader of the pages."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any

from attnmass import AttentionRanker, Chunk, Ranking

QUERY = "Who invented the theory of relativity?"
CHUNKS = (
    Chunk("The river runs through the city. It is long.", title="Rivers"),
    Chunk(
        "Albert Einstein, a physicist, developed the theory in 1905. He liked music and trains. "
        "Numbers are words.",
        title="Einstein",
        before="about: physics\n",
        after="\nsource: a book",
    ),
    Chunk("Trains, books and music are made of words. Don't read them aloud."),
)
HOSTILE = (
    "<script>alert(1)</script>",
    "</script><script>alert(2)</script><!--<script>",
    "\"><img src=x onerror=alert(3)> ' ` &lt;b&gt; &amp;amp;",
    "javascript:alert(4) {{ 7 * 7 }} {% raw %} </p></mark></del></style><style>*{display:none}",
    "nul \x00 escape \x1b[31mred\x1b[0m bell \x07 c1 \x9b31m tab\there\r\nnext\rline \u2028 end",
    "lone \ud800 surrogates \udfff here",
    "\u202eright to left override\u202c and עברית and العربية",
    "family 👨\u200d👩\u200d👧 flag 🇩🇪 thumbs 👍🏽 e\u0301a\u0308",
    "相对论是爱因斯坦提出的。 アインシュタインは物理学者です。 ทฤษฎีสัมพัทธภาพ",
    "[bold]rich markup[/bold] [link=file:///etc/passwd]x[/link] :smile:",
    "x" * 500,
)


def rank(ranker: AttentionRanker, chunks: Any = CHUNKS, **options: Any) -> Ranking:
    """Every chunk, whatever the evidence."""
    return ranker.rank(QUERY, list(chunks), **options)


class Page(HTMLParser):
    """What is in a page: elements in order, and the texts inside each."""

    VOID = frozenset({"meta", "input", "rect", "link", "img", "br", "hr"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[dict[str, Any]] = []
        self.open: list[dict[str, Any]] = []
        self.unclosed: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember an element and what it is in."""
        found = {"tag": tag, "attrs": dict(attrs), "text": "", "in": [e["tag"] for e in self.open]}
        self.elements.append(found)
        if tag not in self.VOID:
            self.open.append(found)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """SVG's."""
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        """Elements close in order."""
        if not self.open or self.open[-1]["tag"] != tag:
            self.unclosed.append(tag)
            return
        self.open.pop()

    def handle_data(self, data: str) -> None:
        """Text belongs to all elements around it."""
        for element in self.open:
            element["text"] += data

    def all(self, tag: str, **attrs: str) -> list[dict[str, Any]]:
        """Elements of a name, with these attributes."""
        return [
            e
            for e in self.elements
            if e["tag"] == tag and all(e["attrs"].get(k) == v for k, v in attrs.items())
        ]

    @property
    def data(self) -> Any:
        """What the script is given."""
        (script,) = self.all("script", type="application/json")
        return json.loads(script["text"])


def unpack(levels: str) -> list[int]:
    """Levels as the script reads them."""
    digits: list[int] = []
    for char in levels:
        digits += [int(char)] if char.isdigit() else [0] * (ord(char) - 95)
    return digits
