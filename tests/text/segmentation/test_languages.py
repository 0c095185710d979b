"""Sentences in many languages: what sentencex makes of them, at exact offsets."""

from __future__ import annotations

import pytest
import sentencex

from attnmass.text.segmentation.sentences import detect_language, ends_sentence, split_sentences
from tests.text.segmentation.pieces import pieces

# By language code (`None` where the script tells), sentences as they should come out.
TEXTS = {
    "English abbreviations": (
        None,
        [
            "Dr. Smith paid $3.50, e.g. for tea, in the U.S. last May.",
            "It rained (a lot!) and J. R. R. Tolkien wrote...",
            "Then he left.",
        ],
    ),
    "English names and times": (
        None,
        [
            "He works at Acme Inc. in Boston.",
            "Mr. and Mrs. Lee met at 5 p.m. on Jan. 5.",
            "See Fig. 3.",
            "Wait… he said, and went.",
        ],
    ),
    "English quotes": (
        None,
        ['"Why?" she asked.', '"Stop. Now."', "They did.", "She got 3.14 (or 5)."],
    ),
    "German": (
        "de",
        [
            "Das gilt z. B. am 3. Oktober.",
            "Dr. Meyer kam um ca. 5 Uhr an.",
            "„Gut.“ sagte er.",
            "Danach ging er.",
        ],
    ),
    "Spanish": (
        "es",
        ["¿Dónde estás?", "¡Aquí!", "El Sr. García vive en EE. UU. desde 1990.", "Está bien."],
    ),
    "Russian": (
        None,
        ["Он родился в 1799 г. в Москве.", "А. С. Пушкин писал стихи!", "Где он жил?", "Там."],
    ),
    "Arabic": (None, ["كيف حالك؟", "أنا بخير، شكرا.", "إلى اللقاء!"]),
    "Urdu": ("ur", ["یہ ایک ہے۔", "وہ دو ہے۔"]),
    "Hebrew": (None, ["שלום עולם.", "מה נשמע?", "טוב."]),
    "Hindi": (None, ["यह पहला वाक्य है।", "क्या यह दूसरा है?", "हाँ।"]),
    "Korean": (None, ["안녕하세요.", "저는 학생입니다.", "감사합니다!"]),
    "Burmese": (None, ["မင်္ဂလာပါ။", "နေကောင်းလား။"]),
    "Armenian": (None, ["Բարև։", "Ինչպես ես։"]),
    "Greek": (None, ["Τι κάνεις;", "Καλά."]),
}
UNSPACED = {
    "Chinese": (None, ["今天天气很好。", "你好吗？", "他说：“走吧。快！”", "价格是3.5元。"]),
    "Japanese": ("ja", ["今日は晴れです。", "行きますか？", "「はい。行きます。」", "そうです。"]),
}


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("between", [" ", "  ", "\n", "\r\n", "\xa0"])
def test_sentences(name: str, between: str) -> None:
    """Sentences of a language come out one by one, whatever white space is between them."""
    language, expected = TEXTS[name]
    text = between.join(expected)
    found = [text[start:end] for start, end in split_sentences(text, language)]
    assert found == expected


@pytest.mark.parametrize("name", UNSPACED)
@pytest.mark.parametrize("between", ["", "\n", "\u3000"])
def test_sentences_without_spaces(name: str, between: str) -> None:
    """Chinese and Japanese sentences need no space between them."""
    language, expected = UNSPACED[name]
    assert pieces(between.join(expected), language=language) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("สวัสดีครับ ผมชื่อสมชาย", ["สวัสดีครับ", "ผมชื่อสมชาย"]),
        ("ไทยมีประชากร 70 ล้านคน กรุงเทพเป็นเมืองหลวง", ["ไทยมีประชากร 70 ล้านคน", "กรุงเทพเป็นเมืองหลวง"]),
        ("เขาไป Bangkok กับผม\nแล้วกลับ", ["เขาไป Bangkok กับผม", "แล้วกลับ"]),
        ("ສະບາຍດີ ຂອບໃຈ", ["ສະບາຍດີ", "ຂອບໃຈ"]),
        ("សួស្តី។ អរគុណ។", ["សួស្តី។", "អរគុណ។"]),
        ("བོད་ཡིག། སྐད་ཡིག།", ["བོད་ཡིག།", "སྐད་ཡིག།"]),
    ],
)
def test_scripts_without_sentence_marks(text: str, expected: list[str]) -> None:
    """Thai, Lao, Khmer and Tibetan are cut at white space inside the script: into phrases."""
    assert pieces(text) == expected
    assert pieces(text, language="th") == expected


def test_mixed() -> None:
    """Each paragraph has the rules of its own script."""
    text = "See Dr. Li. 今天天气很好。你好吗？\n\nЭто г. Москва. Да.\n\nكيف حالك؟ جيد."
    expected = [
        "See Dr. Li.",
        "今天天气很好。",
        "你好吗？",
        "Это г. Москва.",
        "Да.",
        "كيف حالك؟",
        "جيد.",
    ]
    assert pieces(text) == expected


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("plain", "en"),
        ("", "en"),
        ("1986 … €", "en"),
        ("Größe und Maß", "en"),
        ("Привет, world", "ru"),
        ("東京タワー", "ja"),
        ("東京和北京", "zh"),
        ("Das Wort 東京 steht hier", "en"),
        ("ไทย", "en"),
        ("\U00020000", "zh"),
        ("ﷺ", "ar"),
        ("हिन्दी", "hi"),
        ("বাংলা", "bn"),
        ("አማርኛ", "am"),
        ("ಕನ್ನಡ", "kn"),
    ],
)
def test_detection(text: str, language: str) -> None:
    """The script that most letters are in decides; kana make Chinese characters Japanese."""
    assert detect_language(text) == language


def test_language_decides_on_abbreviations() -> None:
    """German needs to be told: by its script it is English, where a date ends a sentence."""
    text = "Das war am 3. Oktober in Bonn."
    assert pieces(text, language="de") == [text]
    assert pieces(text, language="de-AT") == [text]
    assert pieces(text) == ["Das war am 3.", "Oktober in Bonn."]


def test_unknown_language_is_english() -> None:
    """A language that sentencex does not know has English rules."""
    assert pieces("He saw Dr. Lee. It was fun.", language="xx") == [
        "He saw Dr. Lee.",
        "It was fun.",
    ]


@pytest.mark.parametrize(
    ("text", "language", "found"),
    [
        # Abbreviations of several letters that are not in the list, small letter after or not.
        ("Llegó a las 5 p. m. y se fue.", "es", ["Llegó a las 5 p. m.", "y se fue."]),
        ("Это т. е. так.", "ru", ["Это т. е.", "так."]),
        # An end inside brackets is none, also where the bracket has sentences of its own.
        ("(See p. 5. Then stop.) He did. Yes.", "en", ["(See p. 5. Then stop.) He did.", "Yes."]),
        # A number that is not at the beginning of a line.
        ("First 1. Foo.", "en", ["First 1.", "Foo."]),
        # Reported speech in Japanese goes on after the quote.
        ("「はい。」と言った。", "ja", ["「はい。」", "と言った。"]),
        # A word that often begins a sentence is no name.
        ("He saw Dr. No. It was fun.", "en", ["He saw Dr.", "No.", "It was fun."]),
    ],
)
def test_known_weaknesses(text: str, language: str, found: list[str]) -> None:
    """What sentencex gets wrong stays wrong: no rules of our own; a change should be noticed."""
    assert pieces(text, language=language) == found


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("Stop.", True),
        ('"Stop!"', True),
        ("(Why?) ", True),
        ("今日は。」", True),
        ("यह है।", True),
        ("**Stop.**", True),
        ("Stop", False),
        ("Stop:", False),
        ("Stop,", False),
        ("", False),
        (")", False),
        ("\ud800", False),
    ],
)
def test_ends_of_sentences(text: str, ends: bool) -> None:
    """What ends a sentence is what sentencex calls a boundary, brackets and quotes aside."""
    assert ends_sentence(text) is ends


class PanicException(BaseException):
    """What a panic in Rust looks like in Python."""


def test_a_panic_costs_the_sentences_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where sentencex panics the paragraph is one span; other exceptions are not hidden."""

    def panic(language: str, text: str) -> list[str]:
        raise PanicException

    monkeypatch.setattr(sentencex, "segment", panic)
    assert split_sentences("One. Two.") == [(0, 9)]

    def interrupt(language: str, text: str) -> list[str]:
        raise KeyboardInterrupt

    monkeypatch.setattr(sentencex, "segment", interrupt)
    with pytest.raises(KeyboardInterrupt):
        split_sentences("One. Two.")


@pytest.mark.parametrize("answer", [[], ["One."], ["One.", "Two."], ["One.", "\n\n", "Two."]])
def test_pieces_that_are_not_the_text(monkeypatch: pytest.MonkeyPatch, answer: list[str]) -> None:
    """Where the pieces do not add up to the text they are not used."""
    monkeypatch.setattr(sentencex, "segment", lambda language, text: answer)
    assert split_sentences("One. Two.") == [(0, 9)]
