# /// script
# requires-python = ">=3.10"
# dependencies = ["mwparserfromhell==0.7.2"]
# ///
# ruff: noqa: RUF001
"""Write articles.jsonl: plain prose of some Wikipedia articles, one JSON object per line.

The articles come from the MediaWiki XML dump that the gensim package ships with its tests.
mwparserfromhell parses their wikitext; this script turns the parse tree into paragraphs.
What has no place in prose (tables, lists, references, images, infoboxes, displayed formulas) is
left out, and so is a paragraph in which leaving something out would tear a hole in a sentence.

    pip download --no-deps gensim==4.4.0
    python build_corpus.py gensim-4.4.0-*.whl
"""

from __future__ import annotations

import argparse
import bz2
import html
import json
import re
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote
from xml.etree import ElementTree

import mwparserfromhell as mw  # type: ignore[import-not-found,import-untyped,unused-ignore]

DUMP_NAME = "enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2"
LICENCE = "CC BY-SA 3.0"
EXCERPT_CHARACTERS = 6_000
SHORTEST_PARAGRAPH = 200  # characters, for one that loses its last sentence

# Articles kept whole; of the others, only the beginning, EXCERPT_CHARACTERS long.
WHOLE = (
    "Albedo",
    "Albert Einstein",
    "Alchemy",
    "Amateur astronomy",
    "Ampere",
    "Apollo 11",
    "Aristotle",
    "Astronomer",
    "Atomic number",
    "International Atomic Time",
)
EXCERPTS = (
    "A Modest Proposal",
    "Aardvark",
    "Aardwolf",
    "Abacus",
    "Abraham Lincoln",
    "Achilles",
    "Acid",
    "Aikido",
    "Alaska",
    "Aldous Huxley",
    "Algae",
    "Algeria",
    "Algorithm",
    "Alkali metal",
    "Alphabet",
    "Altruism",
    "American Revolutionary War",
    "Amphibian",
    "An American in Paris",
    "Analysis of variance",
    "Anatomy",
    "Andorra",
    "Andrei Tarkovsky",
    "Android (robot)",
    "Angola",
    "Animal Farm",
    "Animation",
    "Anthropology",
    "Apollo",
    "Apollo 8",
    "Appellate court",
    "Arithmetic mean",
    "Art",
    "Arthur Schopenhauer",
    "Articles of Confederation",
    "Asphalt",
    "Astronaut",
    "Atlantic Ocean",
)

DROPPED_SECTIONS = frozenset(
    {
        "bibliography",
        "citations",
        "external links",
        "footnotes",
        "further reading",
        "gallery",
        "notes",
        "notes and references",
        "publications",
        "references",
        "see also",
        "selected bibliography",
        "sources",
        "works cited",
    }
)

# Marks that rendering leaves in the text and that cleaning takes out again.
GAP = "\ue000"  # something that may vanish, along with the little around it in a parenthesis
HOLE = "\ue001"  # something that the sentence needs
BLOCK = "\ue002"  # a separate line that is left out: a list item, a table, a displayed formula
INDENT = "\ue003"  # an indented line: often a quotation

SUPERSCRIPTS = str.maketrans("0123456789+-−n", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻ⁿ")
SUBSCRIPTS = str.maketrans("0123456789+-−n", "₀₁₂₃₄₅₆₇₈₉₊₋₋ₙ")

# How the templates of these articles read; any other one leaves a hole.
QUOTES = frozenset({"bquote", "quotation", "quote"})
SHOW_FIRST = frozenset(
    {
        "big",
        "flag",
        "ill",
        "linktext",
        "nihongo",
        "nobold",
        "noitalic",
        "nowrap",
        "sc",
        "small",
        "smaller",
        "vanchor",
    }
)
# Templates that show nothing, or only a note mark.
SILENT = frozenset(
    {
        "anchor",
        "citation needed",
        "citation",
        "clarify",
        "clear",
        "cn",
        "efn",
        "failed verification",
        "flagicon",
        "fr icon",
        "oclc",
        "page needed",
        "refn",
        "rp",
        "sep entry",
        "sfn",
        "sfnp",
        "sic",
        "unreliable source?",
        "vague",
        "verify source",
        "when",
        "which",
    }
)
SILENT_PREFIXES = ("cite ", "#tag:ref")
GAP_PREFIXES = ("coord", "ipa", "listen", "respell")  # how to say a name, where to find a place
CHARACTERS = {
    "!": "|",
    "'": "'",
    "'s": "'s",
    "nbsp": " ",
    "ndash": "–",
    "snd": " – ",
    "spaced ndash": " – ",
    "thinsp": " ",
    "·": " · ",
}
LANGUAGES = {
    "ar": "Arabic",
    "de": "German",
    "el": "Greek",
    "es": "Spanish",
    "fr": "French",
    "grc": "Ancient Greek",
    "grc-gre": "Ancient Greek",
    "it": "Italian",
    "ja": "Japanese",
    "la": "Latin",
    "nl": "Dutch",
    "pt": "Portuguese",
    "ru": "Russian",
}
UNITS = {
    "acre": "acres",
    "c": "°C",
    "cm": "cm",
    "e6acre": "million acres",
    "f": "°F",
    "ft": "feet",
    "ft/s": "ft/s",
    "g": "g",
    "ha": "ha",
    "in": "inches",
    "kg": "kg",
    "km": "km",
    "km2": "km²",
    "lb": "pounds",
    "m": "m",
    "m/s": "m/s",
    "m2": "m²",
    "m3": "m³",
    "mi": "miles",
    "mm": "mm",
    "nmi": "nautical miles",
    "oz": "ounces",
    "sqmi": "sq mi",
}
SINGULARS = {
    "acres": "acre",
    "feet": "foot",
    "inches": "inch",
    "miles": "mile",
    "nautical miles": "nautical-mile",
    "ounces": "ounce",
    "pounds": "pound",
}
RANGES = {"-": "–", "–": "–", "to": " to ", "and": " and ", "or": " or ", "by": " by ", "x": " × "}
MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)

HIDDEN_TAGS = frozenset({"ref", "references", "gallery", "timeline", "imagemap", "score", "hiero"})
BLOCK_TAGS = frozenset({"table", "source", "syntaxhighlight", "pre", "ol", "ul", "dl", "poem"})
CONTINUES = re.compile(r"[a-z]|(Additionally|Also|Furthermore|Here|Moreover|These|This)\b")
SENTENCE_END = re.compile(r"[.!?:…][\"'”’)\]]*$")
FILE_LINK = re.compile(r"\s*(file|image|category|media|[a-z]{2,3}|simple)\s*:", re.IGNORECASE)


@dataclass(frozen=True)
class Page:
    """One page of the dump."""

    title: str
    revision: int
    timestamp: str
    wikitext: str


@dataclass(frozen=True)
class Article:
    """One line of the corpus."""

    title: str
    url: str
    licence: str
    revision: int
    timestamp: str
    text: str


def render(code: mw.wikicode.Wikicode) -> str:
    """The text of parsed wikitext, with marks where something was left out."""
    return "".join(render_node(node) for node in code.nodes)


def render_node(node: mw.nodes.Node) -> str:
    """The text of one node: what a reader of the article would see of it."""
    if isinstance(node, mw.nodes.Text):
        return str(node.value)
    if isinstance(node, mw.nodes.HTMLEntity):
        return str(node.normalize())
    if isinstance(node, mw.nodes.Wikilink):
        if FILE_LINK.match(str(node.title)):
            return ""
        return render(node.text) if node.text is not None else render(node.title).lstrip(":")
    if isinstance(node, mw.nodes.ExternalLink):
        return render(node.title) if node.title is not None else ""
    if isinstance(node, mw.nodes.Tag):
        return render_tag(node)
    if isinstance(node, mw.nodes.Template):
        return render_template(node)
    if isinstance(node, mw.nodes.Argument):
        return HOLE
    return ""  # a comment, or a heading, which the caller has taken


def render_tag(tag: mw.nodes.Tag) -> str:
    """The text of an HTML tag, or of the wiki markup that stands for one."""
    name = str(tag.tag).strip().lower()
    if tag.wiki_markup and name in {"li", "dt", "dd"}:
        return INDENT if name == "dd" else BLOCK
    if name in HIDDEN_TAGS:
        return ""
    if name in BLOCK_TAGS:
        return f"\n{BLOCK}\n"
    if name in {"br", "hr"}:
        return "\n"
    content = render(tag.contents) if tag.contents is not None else ""
    if name == "math":
        return render_formula(str(tag.contents))
    if name == "sup":
        return raised(content)
    if name == "sub":
        return content.translate(SUBSCRIPTS)
    if name == "blockquote":
        return f"\n\n{content.strip()}\n\n"
    return content


def render_formula(formula: str) -> str:
    """A formula that reads the same without its markup; any other leaves a hole."""
    formula = formula.strip().rstrip(".,")
    return formula if re.fullmatch(r"[\w\s=+\-/().,|<>]+", formula) and "_" not in formula else HOLE


def raised(content: str) -> str:
    """A superscript: '10²' from 10<sup>2</sup>."""
    if content in {"st", "nd", "rd", "th"} or not content:
        return content
    shifted = content.translate(SUPERSCRIPTS)
    return shifted if shifted != content or GAP in content else f"^{content}"


def render_template(template: mw.nodes.Template) -> str:
    """What a template reads as, a gap where it may go unread, or a hole."""
    name = re.sub(r"[\s_]+", " ", str(template.name)).strip().lower()
    if name in CHARACTERS:
        return CHARACTERS[name]
    if name in SILENT or name.startswith(SILENT_PREFIXES):
        return ""
    if name.startswith(GAP_PREFIXES):
        return GAP
    given = [
        render(param.value).strip()
        for param in template.params
        if not param.showkey or str(param.name).strip().isdigit()
    ]
    options = {
        str(param.name).strip().lower(): render(param.value).strip()
        for param in template.params
        if param.showkey
    }
    if name in QUOTES:
        words = given[0] if given else options.get("text", HOLE)
        return f"\n\n{words}\n\n"
    if name == "as of":
        return render_as_of(given, options)
    if not given:
        return HOLE
    if name in SHOW_FIRST:
        return given[0]
    if name == "lang" and len(given) > 1:
        return given[1]
    if name == "transl":
        return given[-1]
    if name.startswith("lang-"):
        language = LANGUAGES.get(name.removeprefix("lang-"))
        return f"{language}: {given[0]}" if language else given[0]
    if name == "convert":
        return render_measure(given, adjective=options.get("adj") in {"on", "mid"})
    if name == "angbr":
        return f"⟨{given[0]}⟩"
    if name == "chem" and not set("".join(given)) & set("{}()[]*"):
        return "".join(given).translate(SUBSCRIPTS)
    if name == "harvtxt":
        return f"{' & '.join(given[:-1])} ({given[-1]})"
    if name == "uss":
        return f"USS {given[0]}"
    if name == "us patent":
        return f"U.S. Patent {given[0]}"
    return HOLE


def render_as_of(given: list[str], options: dict[str, str]) -> str:
    """'As of April 2016' from {{as of|2016|4}}."""
    if "alt" in options:
        return options["alt"]
    date = given[:3]
    if not date or not all(part.isdigit() for part in date[:1]):
        return HOLE
    if len(date) > 1 and date[1].isdigit():
        date[1] = MONTHS[int(date[1]) - 1]
    words = "as of " if options.get("lc") else "As of "
    return words + " ".join(part.lstrip("0") for part in reversed(date))


def render_measure(given: list[str], adjective: bool) -> str:
    """The first measure of a convert template: '5 km' from {{convert|5|km|mi}}."""
    shown = number(given[0])
    rest = given[1:]
    while len(rest) > 1 and rest[0] in RANGES:
        shown += RANGES[rest[0]] + number(rest[1])
        rest = rest[2:]
    unit = UNITS.get(rest[0].lower()) if rest else None
    if unit is None or HOLE in shown:
        return HOLE
    if adjective and unit in SINGULARS:
        return f"{shown}-{SINGULARS[unit]}"
    shown = f"{shown} {unit}"
    if len(rest) > 2 and rest[1].replace(".", "").isdigit() and rest[2].lower() in {"in", "oz"}:
        shown += f" {rest[1]} {UNITS[rest[2].lower()]}"
    return shown


def number(given: str) -> str:
    """A number with its thousands separated; anything else gives a hole."""
    if re.fullmatch(r"[−-]?\d{4,}(\.\d+)?", given):
        whole, point, part = given.partition(".")
        return f"{int(whole.replace('−', '-')):,}".replace("-", "−") + point + part
    return given if re.fullmatch(r"[−-]?[\d,.]+(/\d+)?", given) else HOLE


def clean(text: str) -> str:
    """One paragraph on one line, without gaps; a hole in a parenthesis takes it along."""
    text = re.sub(r"<ref.*?</ref>", "", html.unescape(text))  # written with entities
    text = re.sub(r"__[A-Z]+__", "", text)
    text = re.sub(r"[\u200b\u200e\u200f\ufeff\u00ad]", "", text)
    text = " ".join(text.split())
    text = re.sub(r"\s?\(([^()]*(?:\([^()]*\)[^()]*)*)\)", clean_parenthesis, text)
    text = text.replace(GAP, "")
    text = re.sub(r"''+", "", text)
    text = re.sub(r"\s+([,;.:!?)\]])(?=\s|$|[\"'”)])", r"\1", text)
    text = re.sub(r"([(\[])\s+", r"\1", text)
    text = re.sub(r",(\s*,)+", ",", text)
    return " ".join(text.split())


def clean_parenthesis(match: re.Match[str]) -> str:
    """What is left of a parenthesis without the parts that a gap has emptied."""
    whole, inside = match.group(0), match.group(1)
    lead = " " if whole[0].isspace() else ""
    if HOLE in inside:
        return ""
    if GAP in inside or re.search(r"^\W*[,;]|[,;]\s*[,;]|[,;:]\s*$", inside) or not inside.strip():
        parts = re.split(r"([;,])", inside)
        kept = [
            (parts[i - 1] if i else "", part)
            for i, part in enumerate(parts)
            if i % 2 == 0 and part.strip() and (GAP not in part or len(part.split()) > 5)
        ]
        inside = "".join(mark + part for mark, part in kept).lstrip(",; ").rstrip(",;: ")
        inside = inside.replace(GAP, "")
    if inside.strip(" .,;").lower() in {"", "cf", "e.g", "i.e", "see", "or"}:
        return ""
    return f"{lead}({inside.strip()})"


def blocks(rendered: str) -> Iterator[str]:
    """The paragraphs of rendered wikitext; BLOCK stands for one that is left out."""
    paragraph: list[str] = []
    for line in (line.strip() for line in [*rendered.split("\n"), ""]):
        bare = line.strip(HOLE + GAP + " ")
        marked = bare.startswith((BLOCK, INDENT))
        if bare and not marked:
            paragraph.append(line)
            continue
        if paragraph:
            yield from paragraph_or_block(" ".join(paragraph))
            paragraph = []
        if bare.startswith(INDENT) and BLOCK not in bare:
            yield from paragraph_or_block(line.replace(INDENT, ""), words_wanted=20)
        elif marked:
            yield BLOCK


def paragraph_or_block(text: str, words_wanted: int = 6) -> Iterator[str]:
    """The cleaned paragraph; BLOCK where it has a hole or is not a whole sentence."""
    text = clean(text)
    long = text.endswith(":") or len(text.split()) >= words_wanted
    whole = long and SENTENCE_END.search(text) and HOLE not in text and BLOCK not in text
    yield text if whole else BLOCK


def prose(found: list[str]) -> list[str]:
    """The paragraphs that need nothing of what was left out before or after them."""
    kept: list[str] = []
    for before, text, after in zip(["", *found], found, [*found[1:], BLOCK], strict=False):
        if text == BLOCK or (before == BLOCK and CONTINUES.match(text)):
            continue
        if not (text.endswith(":") and after == BLOCK):
            kept.append(text)
            continue
        end = max(text.rfind(stop) for stop in (". ", '." ', ".) "))
        if end >= SHORTEST_PARAGRAPH:  # without the sentence that led over to what is left out
            kept.append(text[: text.index(" ", end)])
    return kept


def plain_text(wikitext: str) -> str:
    """The prose of an article: headings and paragraphs, with blank lines between them."""
    sections: list[tuple[int, str, list[str]]] = []
    dropped_level = 0
    for section in mw.parse(wikitext).get_sections(flat=True, include_lead=True):
        level, title = 1, ""
        headings = section.filter_headings(recursive=False)
        if headings:
            level, title = int(headings[0].level), clean(render(headings[0].title))
            if dropped_level and level > dropped_level:
                continue
            dropped_level = level if title.lower() in DROPPED_SECTIONS else 0
            if dropped_level:
                continue
        sections.append((level, title, prose(list(blocks(render(section))))))
    kept: list[str] = []
    for i, (level, title, paragraphs) in enumerate(sections):
        below = sections[i + 1 :]
        inner = [s for j, s in enumerate(below) if all(b[0] > level for b in below[: j + 1])]
        if title and (paragraphs or any(s[2] for s in inner)):
            kept.append(title)
        kept += paragraphs
    return "\n\n".join(kept)


def shortened(text: str, characters: int) -> str:
    """The first paragraphs of a text, at most `characters` long, with no heading last."""
    kept = text.split("\n\n")
    while len("\n\n".join(kept)) > characters or not SENTENCE_END.search(kept[-1]):
        kept.pop()
    return "\n\n".join(kept)


def pages(wheel: Path) -> Iterator[Page]:
    """The pages of the dump that the wheel carries, without redirects."""
    with zipfile.ZipFile(wheel) as archive:
        members = [name for name in archive.namelist() if name.endswith("/" + DUMP_NAME)]
        if not members:
            raise FileNotFoundError(f"no {DUMP_NAME} in {wheel}")
        dump = ElementTree.fromstring(bz2.decompress(archive.read(members[0])))
    for page in dump.iterfind("{*}page"):
        if page.find("{*}redirect") is None:
            yield Page(
                title=page.findtext("{*}title", ""),
                revision=int(page.findtext("{*}revision/{*}id", "0")),
                timestamp=page.findtext("{*}revision/{*}timestamp", ""),
                wikitext=page.findtext("{*}revision/{*}text", ""),
            )


def article(page: Page) -> Article:
    """The corpus line for a page of the dump."""
    text = plain_text(page.wikitext)
    if page.title not in WHOLE:
        text = shortened(text, EXCERPT_CHARACTERS)
    address = quote(page.title.replace(" ", "_"), safe="()',:")
    return Article(
        title=page.title,
        url=f"https://en.wikipedia.org/wiki/{address}?oldid={page.revision}",
        licence=LICENCE,
        revision=page.revision,
        timestamp=page.timestamp,
        text=text,
    )


def main() -> int:
    """Build the corpus as the command line asks; 1 where an article is missing."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("wheel", metavar="GENSIM_WHEEL", type=Path, help="the wheel of gensim")
    parser.add_argument("--out", type=Path, default=Path("articles.jsonl"), help="file to write")
    options = parser.parse_args()
    wanted = {page.title: page for page in pages(options.wheel) if page.title in WHOLE + EXCERPTS}
    missing = sorted({*WHOLE, *EXCERPTS} - set(wanted))
    if missing:
        print(f"not in the dump: {', '.join(missing)}", file=sys.stderr)
        return 1
    with options.out.open("w", encoding="utf-8", newline="\n") as out:
        for title in sorted(wanted):
            line = json.dumps(asdict(article(wanted[title])), ensure_ascii=False)
            out.write(line + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
