"""Labelled queries without labels: a sentence of a chunk asks for the rest of it.

The inverse cloze task of Lee et al. (ORQA, arXiv 1906.00300): a sentence is taken out of a chunk
and becomes the query, and the rest of the chunk is what answers it. What the two have in common is
what they are about, not the words of a question, so heads that only match words gain nothing.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from attnmass.fitting.defaults import CANDIDATES, CLOZES
from attnmass.fitting.queries.items import LabelledChunk, LabelledQuery
from attnmass.profiles.texts import Document
from attnmass.text.segmentation.segment import segment

SET = "texts"  # what the set of these queries is called

_SHORTEST, _LONGEST = 10, 300  # letters of a sentence that may be a query
_LEAST_REST = 20  # characters of what is left of its chunk
_COMMON = 0.1  # a word in more than this share of chunks says little
_KEYWORDS = 8  # at most in a shortened query
_LEAST_KEYWORDS = 3
_MOST_CHUNKS = 4000  # a larger corpus is sampled
_FULL, _MOST = 300, 1000  # characters of a paragraph: enough, and too many
_BLANK = re.compile(r"\n[^\S\n]*\n")
_WORD = re.compile(r"\w+(?:[-'\u2019.]\w+)*")


@dataclass(frozen=True, slots=True)
class _Place:
    """A chunk: its document, its place there, its text, and what was taken out of it, if any."""

    document: int
    number: int
    text: str
    sentence: str | None = None


def cloze_queries(
    documents: Sequence[Document],
    *,
    most: int = CLOZES,
    candidates: int = CANDIDATES,
    seed: int = 0,
) -> tuple[LabelledQuery, ...]:
    """Take a sentence out of some chunks, and ask for what is left of each chunk.

    A chunk is a paragraph with its document's title, where there is one. Besides what is left of
    its own chunk, a query has the other chunks of the same document, the nearest first, for up to
    half of its candidates; all other candidates are drawn from other documents. Choosing chunks
    that have the most words in common with the sentence would not do: its own has just lost them,
    so words in common would count against a chunk. Chunks that a sentence was taken out of are
    nowhere whole, and at least half of all chunks are like that, so that a hole alone tells little.

    Every second query is shortened to keywords: at most 8 of its rarest words, in their order,
    without those in more than a tenth of the chunks. Where that leaves fewer than 3, as in
    languages that put no spaces between words, it stays a sentence.

    Args:
        documents: What chunks are taken from; what occurs twice is taken once.
        most: No more queries than this; documents take turns.
        candidates: Chunks for each query, at least 2.
        seed: For what is drawn.

    Returns:
        The queries, fewer than `most` where there are not that many chunks with a sentence to take
        out; the same for the same arguments.

    Raises:
        ValueError: If `candidates` or `most` is too small.
    """
    if candidates < 2:
        raise ValueError(f"candidates must be at least 2, not {candidates}")
    if most < 1:
        raise ValueError(f"most must be at least 1, not {most}")
    draw = random.Random(seed)
    places = _distinct(documents)
    if len(places) > _MOST_CHUNKS:
        places = [places[i] for i in sorted(draw.sample(range(len(places)), _MOST_CHUNKS))]
    places = _without_sentences(places, most, draw)
    asked = [place for place, one in enumerate(places) if one.sentence is not None]
    if len(places) < 2 or not asked:
        return ()
    frequencies = Counter(word for one in places for word in set(_words(one.text.lower())))
    found: list[LabelledQuery] = []
    known: set[str] = set()
    for place in asked:
        sentence = places[place].sentence or ""
        query = sentence
        if len(found) % 2:
            query = _shortened(sentence, frequencies, _COMMON * len(places))
        if query in known:
            continue
        known.add(query)
        chosen = [place, *_others(places, place, candidates - 1, random.Random(f"{seed}-{place}"))]
        chunks = [_chunk(places, one, documents, relevant=one == place) for one in chosen]
        random.Random(f"{seed}-{place}").shuffle(chunks)
        label = f"{places[place].document}-{places[place].number}"
        found.append(LabelledQuery(query, tuple(chunks), label, f"texts: query {label}"))
    return tuple(found)


def paragraphs_of(text: str, title: str = "") -> Document:
    """Cut a text into paragraphs of some hundred characters, at blank lines, or else at sentences.

    Args:
        text: Any text, in any language.
        title: What it is called.
    """
    found: list[str] = []
    first = last = 0
    for one in segment(text):
        long = one.end - first > _MOST
        apart = bool(_BLANK.search(text, last, one.start))
        # A heading, which is short, stays with what it heads.
        if last > first and (long or (apart and last - first >= _FULL)):
            found.append(text[first:last].strip())
            first = one.start
        last = one.end
    found.append(text[first:last].strip())
    return Document(title, tuple(filter(None, found)))


def _distinct(documents: Sequence[Document]) -> list[_Place]:
    """Every paragraph once."""
    found: dict[str, _Place] = {}
    for document, one in enumerate(documents):
        for number, text in enumerate(one.paragraphs):
            if text.strip():
                found.setdefault(text, _Place(document, number, text))
    return list(found.values())


def _without_sentences(places: list[_Place], most: int, draw: random.Random) -> list[_Place]:
    """The same chunks, with a sentence taken out of `most`, or of half of them if that is more.

    Only the first `most` ask with their sentence; documents take turns.
    """
    by_document: dict[int, list[int]] = {}
    for place, one in enumerate(places):
        by_document.setdefault(one.document, []).append(place)
    queues = list(by_document.values())
    draw.shuffle(queues)
    for queue in queues:
        draw.shuffle(queue)
    everything = "\n".join(one.text for one in places)
    texts = {one.text for one in places}
    cut = list(places)
    left, others = most, len(places) // 2 - most
    while (left or others > 0) and queues:
        for queue in queues:
            place = queue.pop()
            rests = [
                (sentence, rest)
                for sentence, rest in _cloze(places[place].text)
                if everything.count(sentence) == 1 and rest not in texts
            ]
            if rests:
                sentence, rest = draw.choice(rests)
                one = places[place]
                cut[place] = _Place(one.document, one.number, rest, sentence if left else None)
                texts.add(rest)
                left, others = (left - 1, others) if left else (0, others - 1)
                if not left and others <= 0:
                    break
        queues = [queue for queue in queues if queue]
    return cut


def _cloze(text: str) -> Iterator[tuple[str, str]]:
    """Each sentence that may be a query, and the text without it."""
    for one in segment(text):
        sentence = text[one.start : one.end]
        n = len("".join(filter(str.isalnum, sentence)))
        # Without spaces between words, a sentence has fewer characters, and none around it.
        spaced = len(sentence.split()) > 2
        unit = 2 if spaced else 1
        if one.kind != "sentence" or not unit * _SHORTEST <= n <= _LONGEST:
            continue
        between = " " if spaced else ""
        rest = between.join((text[: one.start].rstrip(), text[one.end :].lstrip())).strip()
        if len(rest) >= unit * _LEAST_REST and sentence not in rest:
            yield sentence, rest


def _others(places: Sequence[_Place], own: int, count: int, draw: random.Random) -> list[int]:
    """Neighbours in the document, the nearest first, and what is drawn from elsewhere."""
    mine = places[own]
    neighbours = sorted(
        (i for i, one in enumerate(places) if one.document == mine.document and i != own),
        key=lambda i: (abs(places[i].number - mine.number), i),
    )
    elsewhere = [i for i, one in enumerate(places) if one.document != mine.document]
    draw.shuffle(elsewhere)
    n_mine = max((count + 1) // 2, count - len(elsewhere))
    first = neighbours[:n_mine]
    return [*first, *elsewhere[: count - len(first)]]


def _chunk(
    places: Sequence[_Place], place: int, documents: Sequence[Document], *, relevant: bool
) -> LabelledChunk:
    one = places[place]
    title = documents[one.document].title or None
    return LabelledChunk(one.text, float(relevant), f"{one.document}-{one.number}", title)


def _words(text: str) -> list[str]:
    return _WORD.findall(text)


def _shortened(sentence: str, frequencies: Counter[str], common: float) -> str:
    """The rarest words of a sentence in their order; the sentence where they are too few."""
    words = list(dict.fromkeys(_words(sentence)))
    telling = [word for word in words if frequencies[word.lower()] <= max(1.0, common)]
    rarest = sorted(telling, key=lambda word: frequencies[word.lower()])[:_KEYWORDS]
    kept = [word for word in telling if word in set(rarest)]
    return " ".join(kept) if len(kept) >= _LEAST_KEYWORDS else sentence
