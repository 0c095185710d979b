"""What the tests of trimming share: chunks that are up for choice, and counters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

from attnmass.text.segmentation import Segment, segment
from attnmass.trimming import TokenCounter, Trim
from attnmass.trimming.candidates import Candidate, Choice
from attnmass.trimming.select import choose
from tests.tiny import tiny_tokenizer

_SENTENCES = [
    "The Rhine is a long river. It ends in Rotterdam, where ships carry coal.",
    "Albert Einstein, a physicist, developed the theory of relativity in 1905.",
    "Trains, books and music are made of words and numbers; naïve café owners know it.",
    "爱因斯坦是物理学家。他提出了相对论。",
]
_CHARACTERS = "爱因斯坦提出了相对论日本語の物理学者是家他"


def words(text: str) -> int:
    """Words between white space: a count that can be worked out by hand."""
    return len(text.split())


@lru_cache
def bpe() -> Tokenizer:
    """Byte-level BPE; offsets have the space before a word in them."""
    return tiny_tokenizer().backend_tokenizer


@lru_cache
def unigram() -> Tokenizer:
    """SentencePiece's Unigram, with its mark for spaces.

    It knows every character of the tests: of a run that it does not know it makes one token,
    however long, and nothing could be said of the whole by its parts.
    """
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=400,
        special_tokens=["<unk>"],
        unk_token="<unk>",
        initial_alphabet=sorted({*map(chr, range(33, 127)), *"\n▁…ïé", *_CHARACTERS}),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_SENTENCES, trainer)
    return tokenizer


@lru_cache
def sentencepiece_bpe() -> Tokenizer:
    """SentencePiece's BPE with single bytes for what it does not know, as in Llama 2 and Gemma."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=["<unk>", *(f"<0x{byte:02X}>" for byte in range(256))],
        show_progress=False,
    )
    tokenizer.train_from_iterator(_SENTENCES[:3], trainer)
    return tokenizer


@lru_cache
def wordpiece() -> Tokenizer:
    """BERT's: lower case, no accents, no token for white space."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=200, special_tokens=["[UNK]"], show_progress=False
    )
    tokenizer.train_from_iterator(_SENTENCES, trainer)
    return tokenizer


class Tiktoken:
    """Named as tiktoken's are, with which control tokens in a text are an error for `encode`."""

    def encode_ordinary(self, text: str) -> list[int]:
        """A token for every three bytes of a word."""
        return [at for word in text.split() for at in range(0, len(word.encode("utf-8")), 3)]

    def encode(self, text: str) -> list[int]:
        """Not to be used."""
        raise ValueError("control tokens")


def not_additive(text: str) -> int:
    """A count of which no part tells anything of the whole: it grows faster and has jumps."""
    return int(len(text) ** 1.2) + 7 * (len(text) % 5)


cut_into = lru_cache(maxsize=None)(segment)


def candidate(
    text: str,
    scores: Sequence[float],
    *,
    masses: Sequence[float] | None = None,
    render: Callable[[str], str] = str,
    leans_on: Mapping[int, int] | None = None,
    index: int = 0,
    segments: Sequence[Segment] | None = None,
) -> Candidate:
    """A chunk with scores for its spans, which are their masses too unless others are given."""
    found = cut_into(text) if segments is None else segments
    assert len(found) == len(scores), [text[s.start : s.end] for s in found]
    masses = scores if masses is None else masses
    return Candidate(text, found, scores, masses, render, leans_on or {}, index)


def chosen(
    candidates: Candidate | Sequence[Candidate], count: Any = words, **options: Any
) -> SimpleNamespace:
    """What is kept: `texts`, `reasons` by span, `spans` (their numbers) by chunk, `n_tokens`."""
    several = [candidates] if isinstance(candidates, Candidate) else candidates
    found: Choice = choose(several, Trim(**options), TokenCounter(count))
    kept = [[i for i, span in enumerate(spans) if span] for spans in found.kept]
    if isinstance(candidates, Candidate):
        return SimpleNamespace(
            text=found.texts[0], reasons=found.reasons[0], spans=kept[0], n_tokens=found.n_tokens
        )
    return SimpleNamespace(
        texts=found.texts, reasons=found.reasons, spans=kept, n_tokens=found.n_tokens
    )
