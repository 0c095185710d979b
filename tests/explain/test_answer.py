"""An attribution drawn: the page by parsing it, the terminal, JSON."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from rich.console import Console

from attnmass import AttentionRanker, Chunk
from attnmass.explain.shown import shown
from attnmass.results.attribution import Attribution
from tests.explain.support import CHUNKS, HOSTILE, QUERY, Page, unpack

ANSWER = "Albert Einstein developed it. That was in 1905.\n\nTrains were slow."


def attribute(ranker: AttentionRanker, answer: str = ANSWER, **options: object) -> Attribution:
    """Of an answer of three sentences, by chunks of which one cannot be read."""
    return ranker.attribute(QUERY, [" ", *CHUNKS], answer, **options)


@pytest.fixture
def found(ranker: AttentionRanker) -> Attribution:
    """With a threshold that one or two sentences miss."""
    supports = sorted(each.support for each in attribute(ranker).sentences)
    return attribute(ranker, threshold=(supports[0] + supports[1]) / 2, top_spans=2)


def drawn(found: Attribution, **options: object) -> str:
    """What a terminal of 100 columns gets."""
    file = io.StringIO()
    found.explain().print(Console(file=file, width=100), **options)  # type: ignore[arg-type]
    return file.getvalue()


def test_page_is_whole(found: Attribution) -> None:
    """Every element is closed in order, ids are unique, and headings leave no level out."""
    page = Page(found.explain().to_html())
    assert page.unclosed == page.open == []
    for tag in ("html", "header", "main", "h1", "form", "title"):
        assert len(page.all(tag)) == 1, tag
    ids = [e["attrs"]["id"] for e in page.elements if "id" in e["attrs"]]
    assert len(ids) == len(set(ids))
    levels = [int(e["tag"][1]) for e in page.elements if re.fullmatch("h[1-6]", e["tag"])]
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert len(page.all("article")) == len(CHUNKS) + 1


def test_nothing_comes_from_elsewhere(found: Attribution) -> None:
    """No element names a source, links stay on the page, and the policy is that of rankings."""
    page = Page(found.explain().to_html())
    targets = {e["attrs"]["id"] for e in page.elements if "id" in e["attrs"]}
    for element in page.elements:
        assert not {"src", "action", "srcset", "style", "srcdoc"} & set(element["attrs"])
        assert not [name for name in element["attrs"] if name.startswith("on")]
    links = [e["attrs"]["href"] for e in page.all("a")]
    assert len(links) == len([e for e in page.elements if "href" in e["attrs"]])
    assert {link[0] for link in links} == {"#"}
    assert {link[1:] for link in links} <= targets
    (policy,) = page.all("meta", **{"http-equiv": "Content-Security-Policy"})
    assert policy["attrs"]["content"].startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy["attrs"]["content"]


def test_sentences_say_what_they_looked_at(found: Attribution) -> None:
    """Each sentence has its support and its spans, in order, and links lead to these."""
    page = Page(found.explain().to_html())
    items = [e for e in page.all("li") if "data-by" in e["attrs"]]
    assert [e["attrs"]["data-by"] for e in items] == ["1", "2", "3"]
    for sentence, item in zip(found.sentences, items, strict=True):
        assert shown(sentence.text) in item["text"]
        assert f"support {sentence.support:.4f}" in item["text"]
        places = [item["text"].index(span.text) for span in sentence.spans]
        assert len(places) == 2
        for span in sentence.spans:
            assert f"score {span.score:.4f} · mass {span.mass:.4f}" in item["text"]
            assert f"characters {span.start} to {span.end}" in item["text"]
            (mark,) = page.all("mark", id=f"span-{span.chunk}-{span.start}")
            assert mark["text"].endswith(span.text)
            number = str(found.sentences.index(sentence) + 1)
            assert number in mark["attrs"]["data-by"].split()
            assert f"[{number}]" in mark["text"]


def test_unsupported_sentences_are_marked(found: Attribution, ranker: AttentionRanker) -> None:
    """Those below the threshold and no others; without a threshold none, which is said."""
    assert 0 < len(found.unsupported) < 3
    page = Page(found.explain().to_html())
    items = [e for e in page.all("li") if "data-by" in e["attrs"]]
    marked = ["unsupported" in e["text"] for e in items]
    assert marked == [each.supported is False for each in found.sentences]
    assert "less support than the threshold of" in page.all("main")[0]["text"]
    labels = [e["text"] for e in page.all("label") if "fieldset" in e["in"]]
    assert ["unsupported" in label for label in labels[1:]] == marked
    text = Page(attribute(ranker).explain().to_html()).all("main")[0]["text"]
    assert "unsupported" not in text
    assert "No threshold of support was set." in text
    all_there = attribute(ranker, threshold=0.0).explain().to_html()
    assert "No sentence has less support than the threshold of 0.000." in all_there


def test_shades_are_from_each_sentence(found: Attribution) -> None:
    """In each view there is a level for each word, and masses are those of the attribution."""
    explanation = found.explain()
    page = Page(explanation.to_html())
    cells = [e for e in page.elements if e["tag"] in ("i", "u") and "main" in e["in"]]
    sheets = page.data["sheets"]
    assert set(sheets) == {f"{v}.{s}" for v in range(len(explanation.views)) for s in range(4)}
    assert {len(unpack(sheet["levels"])) for sheet in sheets.values()} == {len(cells)}
    order = [chunk.ranked.index for chunk in explanation.chunks]
    assert order[-1] == 0
    assert order[:-1] == [index for index in found.ranked if index != 0]
    np.testing.assert_allclose(
        sheets["0.0"]["masses"], [found.scores[index] for index in order], atol=6e-5
    )
    for number, sentence in enumerate(found.sentences, start=1):
        np.testing.assert_allclose(
            sheets[f"0.{number}"]["masses"], [sentence.scores[i] for i in order], atol=6e-5
        )
        assert page.data["choices"][number].startswith(f"sentence {number} ")


def test_hostile_text_is_text(ranker: AttentionRanker) -> None:
    """Whatever query, answer, chunk or title say is shown, and does nothing."""
    chunks = [Chunk(text, title=HOSTILE[i - 1]) for i, text in enumerate(HOSTILE)]
    for i, query in enumerate(HOSTILE):
        answer = HOSTILE[i - 2]
        found = ranker.attribute(query, chunks, answer, threshold=0.5)
        raw = found.explain().to_html()
        page = Page(raw)
        assert page.unclosed == page.open == []
        scripts = [e["attrs"] for e in page.all("script")]
        assert scripts == [{"type": "application/json", "id": "data"}, {}]
        assert not page.all("img")
        assert len(page.all("style")) == 1
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]", raw)
        for sentence in found.sentences:
            assert shown(sentence.text) in page.all("main")[0]["text"]
        text = drawn(found)
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
        data = found.explain().to_json()
        assert data.isascii()
        assert json.loads(data)["answer"] == answer


def test_json_has_it_all(found: Attribution) -> None:
    """Spans are verbatim in the text that was read, and words add up to each sentence's masses."""
    data = found.explain().to_dict()
    assert json.loads(found.explain().to_json()) == data
    by_index = {chunk["index"]: chunk for chunk in data["chunks"]}
    assert by_index[0]["skipped"] == "blank"
    for number, (sentence, each) in enumerate(zip(found.sentences, data["sentences"], strict=True)):
        assert data["answer"][each["start"] : each["end"]] == each["text"] == sentence.text
        assert each["supported"] is sentence.supported
        for span in each["spans"]:
            chunk = by_index[span["chunk"]]
            start = chunk["start"]
            assert chunk["read"][start + span["start"] : start + span["end"]] == span["text"]
            named = [p for p in chunk["pieces"] if p["start"] == start + span["start"]]
            assert number + 1 in named[0]["by"]
        for index, score in enumerate(each["scores"]):
            words = by_index[index]["words"]
            assert sum(w["by_sentence"][number] for w in words) == pytest.approx(score, abs=1e-5)
    for chunk in data["chunks"]:
        read = chunk["read"]
        assert "".join(read[p["start"] : p["end"]] for p in chunk["pieces"]) == read


def test_terminal(found: Attribution) -> None:
    """All sentences with support and spans; of one that is chosen only its own, and its masses."""
    text = drawn(found)
    flat = " ".join(text.split())
    assert text.count("✗ unsupported") == len(found.unsupported) > 0
    for number, sentence in enumerate(found.sentences, start=1):
        assert f"{{{number}}} {sentence.text}" in flat
        for span in sentence.spans:
            assert f"{span.score:.4f}" in text
            assert f"characters {span.start} to {span.end}" in flat
    one = drawn(found, sentence=1)
    assert "from sentence 2;" in one
    assert one.count(", characters ") == len(found.sentences[1].spans)
    assert re.findall(r"mass (0\.\d+)", one) != re.findall(r"mass (0\.\d+)", text)
    head = found.explain().heads[1]
    assert f"Layer {head[0]}, head {head[1]}" in drawn(found, head=head)


def test_what_is_not_there(found: Attribution) -> None:
    """A sentence or head that is not there, and an attribution without attention, are errors."""
    explanation = found.explain()
    for sentence in (-1, 3):
        with pytest.raises(ValueError, match=f"at least 0 and below 3, not {sentence}"):
            explanation.print(sentence=sentence)
    with pytest.raises(ValueError, match="was not read"):
        explanation.print(head=(9, 9))
    with pytest.raises(ValueError, match=r"pass one that AttentionRanker.attribute returned"):
        replace(found, trace=None).explain()


@pytest.mark.parametrize("chunks", [[], [" ", 7]])
def test_nothing_to_show(ranker: AttentionRanker, chunks: list[object]) -> None:
    """An answer to no chunks is drawn all the same."""
    found = ranker.attribute(QUERY, chunks, ANSWER, threshold=0.1)  # type: ignore[arg-type]
    page = Page(found.explain().to_html())
    assert page.unclosed == page.open == []
    assert len(page.all("article")) == len(chunks)
    assert "Sentences 1, 2 and 3 have less support" in page.all("main")[0]["text"]
    assert "support 0.0000" in drawn(found)
    assert len(found.explain().to_dict()["sentences"]) == 3


def test_in_a_notebook_it_is_a_frame(found: Attribution) -> None:
    """A notebook gets one sandboxed frame whose document is the page."""
    explanation = found.explain()
    (frame,) = Page(explanation._repr_html_()).elements
    assert frame["attrs"]["sandbox"] == "allow-scripts"
    assert frame["attrs"]["srcdoc"] == explanation.to_html()


@pytest.mark.parametrize("layout", ["parallel", "joint"])
def test_the_trace_is_what_scores_are_made_of(layout: str) -> None:
    """Masses of tokens add up to the scores, in both layouts, and cannot be written to."""
    from attnmass import HeadProfile
    from tests.conftest import HEADS
    from tests.tiny import tiny_model, tiny_tokenizer

    profile = HeadProfile.from_heads(HEADS, model="tiny", layout=layout)
    ranker = AttentionRanker(tiny_model(), tiny_tokenizer(), profile=profile)
    found = attribute(ranker)
    trace = found.trace
    assert trace is not None
    weights = np.array(found.profile.chunk_weights)
    assert dict(trace.skipped) == {0: "blank"}
    for index, chunk in trace.scored.items():
        assert (weights @ chunk.masses).sum() == pytest.approx(found.scores[index], abs=1e-5)
        assert chunk.rows is not None
        mine = [sentence.scores[index] for sentence in found.sentences]
        np.testing.assert_allclose((weights @ chunk.rows).sum(axis=1), mine, atol=1e-5)
        for array in (chunk.masses, chunk.rows, chunk.offsets):
            assert not array.flags.writeable
