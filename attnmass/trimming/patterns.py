"""What must stay in a text whatever it scores: ready-made sets, and users' own expressions."""

from __future__ import annotations

import errno
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import regex

from attnmass.options.checks import check_items, did_you_mean
from attnmass.trimming.errors import PatternError

# Over all chunks of a call, for each of the user's own expressions: some take exponential time.
SECONDS = 5.0

_CURRENCY = "[$€£¥₹₩₽₺₪฿]|USD|EUR|GBP|JPY|CHF|CNY|INR"
_SCALE = r"(?:\s(?:thousand|million|billion|trillion)|(?:[kKmMbB]|[mb]n)\b)"
_MONTH = (
    "(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?"
    r"|Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)\.?"
)

# Each begins where none of its own characters comes before it, or has a bounded length, so that it
# takes linear time on any text.
_NUMBERS = re.compile(r"\d+")
_AMOUNTS = re.compile(
    rf"(?:{_CURRENCY})\s?\d[\d.,'\u2019]*{_SCALE}?"
    rf"|(?<![\d.,'\u2019])\d[\d.,'\u2019]{{0,30}}{_SCALE}?\s?(?:{_CURRENCY}|(?:dollar|euro|pound|cent)s?\b)"
)
_PERCENTAGES = re.compile(r"(?<![\d.,])\d[\d.,]{0,30}\s?(?:[%‰]|per\s?cent\b)")
_DATES = re.compile(
    r"(?<!\d)(?:\d{4}([-/.])\d{1,2}\1\d{1,2}|\d{1,2}([-/.])\d{1,2}\2(?:\d{4}|\d{2}))(?!\d)"
    rf"|(?<!\w)\d{{1,2}}(?:st|nd|rd|th)?(?:\sof)?\s{_MONTH}(?:,?\s\d{{4}})?(?!\w)"
    rf"|(?<!\w){_MONTH}\s\d{{1,4}}(?:st|nd|rd|th)?(?:,?\s\d{{4}})?(?!\w)",
    re.IGNORECASE,
)
_IDENTIFIERS = re.compile(
    r"(?<![\w-])(?:[^\W\d_][\w-]*?\d[\w-]*\d"
    r"|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})|#\d{2,}"
)
_ERROR_CODES = re.compile(
    r"(?<!\w)(?:0x[0-9A-Fa-f]{2,16}(?!\w)|[A-Z]{1,10}[-_]?\d{2,}(?!\w)"
    rf"|(?:{'|'.join(errno.errorcode.values())})(?!\w)"
    r"|[A-Z]+(?:_[A-Z0-9]+)+(?!\w)|\w{0,80}?(?:Error|Exception|Warning)(?!\w)"
    r"|(?i:https?|status|code|error|errno|exit|exception)\W{0,3}(?i:code\W{0,3})?\d{1,10}(?!\w))"
)
_EMAILS = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_URLS = re.compile(r"(?<!\w)(?:[a-z][a-z0-9+.-]{1,20}://|www\.)\S+", re.IGNORECASE)
_VERSIONS = re.compile(r"(?<![\w.])v?\d{1,9}(?:\.\d{1,9}){2,4}(?:[-+][\w.]{1,40})?(?![\w.]*\w)")

SETS = {
    "numbers": _NUMBERS,
    "amounts": _AMOUNTS,
    "percentages": _PERCENTAGES,
    "dates": _DATES,
    "identifiers": _IDENTIFIERS,
    "error_codes": _ERROR_CODES,
    "emails": _EMAILS,
    "urls": _URLS,
    "versions": _VERSIONS,
}


@dataclass(frozen=True, slots=True)
class Patterns:
    """Patterns that are ready to be looked for.

    Attributes:
        ready: Those of the ready-made sets.
        own: The user's own.
    """

    ready: tuple[re.Pattern[str], ...]
    own: tuple[regex.Pattern[str], ...]

    def __bool__(self) -> bool:
        return bool(self.ready or self.own)

    def look(self) -> Search:
        """Begin to look through the texts of a call."""
        return Search(self)


class Search:
    """A search for patterns through several texts, with one bound on its time."""

    def __init__(self, patterns: Patterns) -> None:
        """Nothing has been searched yet."""
        self._patterns = patterns
        self._left = dict.fromkeys(patterns.own, SECONDS)

    def places(self, text: str) -> list[tuple[int, int]]:
        """Where a text has one of the patterns, `[start, end)`; empty matches do not count.

        Raises:
            PatternError: If one of the user's own patterns took too long, over all texts so far.
        """
        found = [match.span() for each in self._patterns.ready for match in each.finditer(text)]
        for pattern in self._patterns.own:
            found += self._own(pattern, text)
        return [(start, end) for start, end in found if start < end]

    def _own(self, pattern: regex.Pattern[str], text: str) -> Iterator[tuple[int, int]]:
        started = time.monotonic()
        try:
            # It does not look at the clock before it has looked at some text.
            found = pattern.finditer(text, timeout=max(self._left[pattern], 1e-3))
            yield from (match.span() for match in found)
        except TimeoutError:
            raise PatternError(
                f"the pattern {pattern.pattern!r} of must_keep took more than {SECONDS:g} seconds: "
                "write it so that it does not try the same text again and again, or leave it out"
            ) from None
        self._left[pattern] -= time.monotonic() - started


def read_patterns(names: Sequence[str]) -> Patterns:
    """Look up sets by their names, and compile whatever is not one.

    Args:
        names: Names in `SETS`, or regular expressions of the `regex` package.

    Raises:
        TypeError: If these are not strings.
        ValueError: If one is empty or not a regular expression, or looks like a misspelled name of
            a set.
    """
    check_items("must_keep", names, str, instead="a list such as ['amounts', r'ERR-\\d+']")
    ready = tuple(SETS[name] for name in names if name in SETS)
    return Patterns(ready, tuple(_compiled(name) for name in names if name not in SETS))


def _compiled(name: str) -> regex.Pattern[str]:
    if name.isidentifier() and (near := did_you_mean(name, SETS)):
        raise ValueError(
            f"must_keep has {name!r}, which is not a set of patterns.{near} For the word itself "
            f"pass {f'(?:{name})'!r}"
        )
    try:
        found: regex.Pattern[str] = regex.compile(name)
    except regex.error as error:
        raise ValueError(
            f"must_keep has {name!r}, which is not a regular expression: {error}. Pass one, or "
            f"one of {', '.join(SETS)}"
        ) from None
    if not name:
        raise ValueError(f"must_keep has an empty pattern: pass one, or one of {', '.join(SETS)}")
    return found
