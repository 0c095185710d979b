"""Citations of what both adapters return."""

from __future__ import annotations

from tests.contract.adapters import Adapter, Candidate
from tests.contract.candidates import QUERY
from tests.contract.theories import CANDIDATES, TEXTS, make


def test_kept_spans_are_numbered_in_reading_order(adapter: Adapter) -> None:
    """Each kept span has a number that leads to its place in candidate and parent."""
    rerank = make(adapter, max_tokens=None, top_p=0.6)
    result = adapter.run(rerank, adapter.build(CANDIDATES), QUERY)
    cited = adapter.cite(result)
    assert cited.text == (
        "He developed the theory of relativity in 1905. [1] … His theory of gravity followed ten "
        "years later. [2]\n\nThe theory of trains is simple. [3]"
    )
    assert [source.number for source in cited.sources] == [1, 2, 3]
    assert [source.chunk_id for source in cited.sources] == ["id-1", "id-1", "id-2"]
    assert [source.chunk for source in cited.sources] == [0, 0, 1]
    told = [span["id"] for item in adapter.read(result) for span in item.hidden["spans"]]
    assert [source.id for source in cited.sources] == told
    for source in cited.sources:
        original = CANDIDATES[int(source.chunk_id[-1])]
        assert original.text[source.start : source.end] == source.text
        assert (source.doc_start, source.doc_end) == (100 + source.start, 100 + source.end)
        assert {"title": original.metadata["title"], "tags": ["a"]}.items() <= (
            source.metadata.items()
        )
        assert not {"attnmass", "relevance_score"} & set(source.metadata)
    assert [source.text for source in cited.resolve("It was in 1905 [1], I think [3, 9].")] == [
        "He developed the theory of relativity in 1905.",
        "The theory of trains is simple.",
    ]
    assert cited.unknown("It was in 1905 [1], I think [3, 9].") == (9,)


def test_what_is_not_trimmed_is_cited_whole(adapter: Adapter) -> None:
    """Candidates of any retriever can be cited; blank ones have no number."""
    found = adapter.build([CANDIDATES[0], Candidate(" "), Candidate("Bare.")])
    cited = adapter.cite(found)
    assert cited.text == f"{TEXTS[0]} [1]\n\nBare. [2]"
    first, second = cited.sources
    assert (first.start, first.end, first.text) == (0, len(TEXTS[0]), TEXTS[0])
    assert (first.doc_start, first.doc_end) == (100, 100 + len(TEXTS[0]))
    assert (second.chunk, second.doc_start) == (2, None)
    assert adapter.cite([]).text == ""


def test_ids_are_stable(adapter: Adapter) -> None:
    """One sentence has one id, whatever the query and whatever else is kept."""
    found = adapter.build(CANDIDATES[1:2])
    few = adapter.cite(adapter.run(make(adapter, max_tokens=None, top_p=0.1), found, QUERY))
    many = adapter.cite(adapter.run(make(adapter, max_tokens=500), found, "What is a theory?"))
    assert few.sources[0].id in {source.id for source in many.sources}


def test_a_text_that_others_changed_is_cited_whole(adapter: Adapter) -> None:
    """Offsets into a text that is no more are not told."""
    (native,) = adapter.run(
        make(adapter, max_tokens=None, top_p=0.1), adapter.build(CANDIDATES[1:2]), QUERY
    )
    if hasattr(native, "node"):
        native.node.set_content("Something else.")
    else:
        native.page_content = "Something else."
    (source,) = adapter.cite([native]).sources
    assert (source.text, source.start, source.end) == ("Something else.", 0, 15)
    assert adapter.cite([native]).text == "Something else. [1]"


def test_footnotes_are_not_taken_for_markers(adapter: Adapter) -> None:
    """Where a text has numbers in brackets, other markers are taken."""
    found = adapter.build([Candidate("He moved to Ulm.[1] He left.[2]", 0.5, "a")])
    cited = adapter.cite(found)
    assert cited.marker == "[S{n}]"
    assert cited.text == "He moved to Ulm.[1] He left.[2] [S1]"
    assert cited.resolve("As the source says [2] [S1].") == cited.sources
    assert adapter.cite(found, marker="<{n}>").text.endswith(" <1>")
