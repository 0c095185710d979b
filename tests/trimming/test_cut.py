"""Where a text may be cut short."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnmass.trimming.cut import longest_beginning


def cut(text: str, limit: int) -> str:
    """The longest beginning of at most so many characters."""
    return text[: longest_beginning(text, lambda kept: len(kept) <= limit)]


@pytest.mark.parametrize(
    ("limit", "expected"),
    [(3, ""), (4, ""), (5, "Ships"), (10, "Ships"), (11, "Ships carry"), (99, None)],
)
def test_at_a_words_end(limit: int, expected: str | None) -> None:
    """Words are whole and no white space is left at the end; what fits whole stays whole."""
    text = "Ships carry coal."
    assert cut(text, limit) == (text if expected is None else expected)


def test_punctuation_belongs_to_its_word() -> None:
    """A mark is not cut off the word that it follows."""
    assert cut("Ships, boats", 5) == ""
    assert cut("Ships, boats", 6) == "Ships,"


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("爱因斯坦提出了相对论。", 4, "爱因斯坦"),
        ("アインシュタインは", 3, "アイン"),
        ("สวัสดีครับ", 3, "สวั"),
        ("用Python写程序", 3, "用"),
        ("用Python写程序", 7, "用Python"),
        ("使用 Python 编程", 2, "使用"),
        ("😀😀😀", 2, "😀😀"),
    ],
)
def test_scripts_without_spaces(text: str, limit: int, expected: str) -> None:
    """Chinese, Japanese and Thai are cut between characters, words of other scripts in them not."""
    assert cut(text, limit) == expected


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("สวัสดี", 2, "ส"),
        ("か\u3099き", 1, ""),
        ("👩\u200d🚀👍🏽", 1, ""),
        ("👩\u200d🚀👍🏽", 4, "👩\u200d🚀"),
    ],
)
def test_characters_keep_their_marks(text: str, limit: int, expected: str) -> None:
    """No vowel sign, accent, skin tone or joined emoji is torn off."""
    assert cut(text, limit) == expected


@given(st.text(max_size=40), st.integers(0, 40))
def test_any_text(text: str, limit: int) -> None:
    """What is left fits, is a beginning, and ends in no white space."""
    text = text.strip()
    found = cut(text, limit)
    assert len(found) <= limit
    assert text.startswith(found)
    assert found == found.rstrip()
