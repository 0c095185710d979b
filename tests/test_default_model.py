"""The default model for real: its weights from the installed package, its profile, its sense."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest
import torch

from attnmass import AttentionRanker, Chunk
from attnmass.loading.sources import locate
from attnmass.profiles.texts import ordinary_texts

pytestmark = pytest.mark.slow

CHUNKS = [
    Chunk("A Jersey cow gives milk that is rich in butterfat.", title="Jersey cattle"),
    Chunk(
        "In 1905 he proposed that the laws of physics are the same in all inertial frames; in 1915 "
        "he extended his theory of relativity to gravitation.",
        title="Albert Einstein",
    ),
    Chunk("The Eiffel Tower was built from 1887 to 1889.", title="Eiffel Tower"),
    Chunk("Relational databases store rows in tables.", title="Relational database"),
]
ARTICLES = Path(__file__).parents[1] / "examples" / "data" / "articles.jsonl"
QUESTION = "Who invented the theory of relativity?"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that starts empty."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def first_load(cache: Path) -> tuple[AttentionRanker, float]:
    """The default model in float32, converted into the empty cache, and how much work it was."""
    started = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # no word about a missing profile
        ranker = AttentionRanker.from_pretrained(cache_dir=cache, dtype="float32")
    return ranker, time.process_time() - started


@pytest.fixture(scope="module")
def default(first_load: tuple[AttentionRanker, float]) -> AttentionRanker:
    """That model."""
    return first_load[0]


def test_comes_with_its_profile(default: AttentionRanker) -> None:
    """The default model is read at the heads that were selected for it."""
    assert default.profile.source == "fitted"
    assert default.profile.layout == "late"


def test_finds_the_evidence(default: AttentionRanker) -> None:
    """The chunk that answers the question is first, far ahead of the others."""
    ranking = default.rank(QUESTION, CHUNKS)
    assert ranking.chunks[0].index == 1
    assert ranking.chunks[0].score > 3 * ranking.chunks[1].score


def test_an_article_in_two_windows_has_the_mass_that_it_has_in_one(
    default: AttentionRanker, cache: Path
) -> None:
    """Real articles that are cut once keep their mass within 5%, whatever is asked."""
    rows = map(json.loads, ARTICLES.read_text(encoding="utf-8").splitlines())
    texts = {row["title"]: row["text"] for row in rows}
    others = [text[:600] for text in list(texts.values())[-24:]]
    in_windows = AttentionRanker.from_pretrained(
        cache_dir=cache, dtype="float32", max_chunk_tokens=1024
    )
    for title in ("Albedo", "Arthur Schopenhauer", "Asphalt", "Atomic number"):
        chunks = [texts[title][:6000], *others]
        for query in (f"Where did {title} come from, and when?", "How is copper made?"):
            whole = default.rank(query, chunks, order="input").chunks[0]
            cut = in_windows.rank(query, chunks, order="input").chunks[0]
            assert (whole.n_windows, cut.n_windows) == (1, 2)
            assert cut.mass == pytest.approx(whole.mass, rel=0.05)


def test_lone_irrelevant_chunk_is_not_relevant(default: AttentionRanker) -> None:
    """Relevance is absolute: alone or in company, what says nothing has little of it."""
    alone = default.rank(QUESTION, [CHUNKS[0]])
    assert alone.no_evidence
    assert not default.rank(QUESTION, [CHUNKS[1]]).no_evidence
    together = default.rank(QUESTION, CHUNKS)
    best = together.chunks[0].relevance or 0.0
    assert default.rank(QUESTION, [CHUNKS[1]]).evidence <= together.evidence <= best
    assert alone.evidence < together.evidence / 2


def test_permutation(default: AttentionRanker) -> None:
    """With real weights, too, the order of the chunks plays no part."""
    there = default.rank(QUESTION, CHUNKS).scores
    back = default.rank(QUESTION, CHUNKS[::-1]).scores
    assert there == pytest.approx(back[::-1], abs=1e-5)


def test_second_load_is_quick(
    first_load: tuple[AttentionRanker, float], cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What was converted is there, and only the layers that run are read: a third of the work.

    A third of that is the proof of the heads' vectors. By the processor's time, beside that of the
    first load, a machine that is busy is no slower.
    """
    default, first = first_load
    started = time.process_time()
    with caplog.at_level("INFO", "attnmass.loading"):
        again = AttentionRanker.from_pretrained(cache_dir=cache, dtype="float32")
    assert "converting" not in caplog.text
    assert time.process_time() - started < first / 3
    assert again.rank(QUESTION, CHUNKS).scores == pytest.approx(
        default.rank(QUESTION, CHUNKS).scores, abs=1e-6
    )
    folders = list((cache / "attnmass").iterdir())
    assert len(folders) == 1
    assert folders[0].name.endswith(f"-float32-{default.profile.last_layer + 1}")


def test_from_a_local_folder(default: AttentionRanker, cache: Path) -> None:
    """The same model as a folder gets the same profile and gives the same scores."""
    (folder,) = (cache / "attnmass").iterdir()
    ranker = AttentionRanker.from_pretrained(folder, dtype="float32")
    assert ranker.profile == default.profile
    assert ranker.rank(QUESTION, CHUNKS).scores == pytest.approx(
        default.rank(QUESTION, CHUNKS).scores, abs=1e-6
    )


def test_from_the_hub_cache(
    default: AttentionRanker, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the package the short name finds the same model in the Hub's cache."""
    (folder,) = (cache / "attnmass").iterdir()
    entry = tmp_path / "models--HuggingFaceTB--SmolLM2-135M-Instruct"
    (entry / "refs").mkdir(parents=True)
    (entry / "refs" / "main").write_text("abc")
    (entry / "snapshots").mkdir()
    (entry / "snapshots" / "abc").symlink_to(folder)
    monkeypatch.setattr("attnmass.loading.sources._package_folder", lambda package: None)
    assert locate("smollm2-135m", cache_dir=tmp_path).gguf is None
    ranker = AttentionRanker.from_pretrained(cache_dir=tmp_path, dtype="float32")
    assert ranker.rank(QUESTION, CHUNKS).scores == pytest.approx(
        default.rank(QUESTION, CHUNKS).scores, abs=1e-6
    )


def test_bfloat16_gives_the_same_order(default: AttentionRanker, cache: Path) -> None:
    """Half precision moves scores by little, and not this order."""
    half = AttentionRanker.from_pretrained(cache_dir=cache, dtype="bfloat16")
    found, expected = half.rank(QUESTION, CHUNKS), default.rank(QUESTION, CHUNKS)
    assert [chunk.index for chunk in found.chunks] == [chunk.index for chunk in expected.chunks]
    assert found.scores == pytest.approx(expected.scores, abs=0.02)
    assert next(half._layout._reader._view.parameters()).dtype == torch.bfloat16  # type: ignore[attr-defined]


def test_the_load_that_converts_gives_what_later_ones_give(tmp_path: Path) -> None:
    """In bfloat16, too, a model is the same whether it was just converted or kept before."""
    first = AttentionRanker.from_pretrained(cache_dir=tmp_path, dtype="bfloat16")
    later = AttentionRanker.from_pretrained(cache_dir=tmp_path, dtype="bfloat16")
    assert first.rank(QUESTION, CHUNKS).scores == later.rank(QUESTION, CHUNKS).scores


@pytest.mark.parametrize("adapter", ["llama_index_attn", "langchain_attn"])
def test_nothing_is_printed_or_warned(adapter: str) -> None:
    """Reranking by name in a new process writes nothing but the bar of loading weights."""
    code = {
        "llama_index_attn": (
            "from llama_index.core.schema import NodeWithScore, TextNode\n"
            "nodes = [NodeWithScore(node=TextNode(text=t)) for t in ('a cow', 'Einstein')]\n"
            "out = AttentionRerank().postprocess_nodes(nodes, query_str='who?')\n"
        ),
        "langchain_attn": (
            "from langchain_core.documents import Document\n"
            "docs = [Document(t) for t in ('a cow', 'Einstein')]\n"
            "out = AttentionRerank().compress_documents(docs, 'who?')\n"
        ),
    }[adapter]
    script = f"from {adapter} import AttentionRerank\n{code}assert len(out) == 2\n"
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", script],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == ""
    lines = [line for line in done.stderr.replace("\r", "\n").splitlines() if line.strip()]
    assert [line for line in lines if "Loading weights" not in line] == []


def test_late_in_bfloat16_is_the_same_however_chunks_are_read() -> None:
    """Kept or read now, scores are equal to the bit; read in other batches within one percent."""
    ranker, alone = (
        AttentionRanker.from_pretrained(
            "smollm2-135m", layout="late", dtype="bfloat16", batch_size=size
        )
        for size in (None, 1)
    )
    assert ranker.profile.source == "fitted"
    cold = ranker.rank(QUESTION, CHUNKS)
    assert cold.chunks[0].index == 1
    assert ranker.rank(QUESTION, CHUNKS).scores == cold.scores
    backwards = ranker.rank(QUESTION, CHUNKS[::-1]).scores[::-1]
    assert backwards == pytest.approx(cold.scores, abs=1e-12)
    assert alone.rank(QUESTION, CHUNKS).scores == pytest.approx(cold.scores, rel=0.01)


@pytest.mark.parametrize(
    ("dtype", "relative", "absolute"), [("bfloat16", 0.1, 0.002), ("float32", 1e-4, 1e-6)]
)
def test_parallel_moves_by_what_the_docs_say(dtype: str, relative: float, absolute: float) -> None:
    """The order changes no bit; in other batches a score moves by so much of itself at most."""
    chunks = [*CHUNKS, *ordinary_texts()[:12]]
    ranker, alone = (
        AttentionRanker.from_pretrained(
            "smollm2-135m", layout="parallel", dtype=dtype, batch_size=size
        )
        for size in (None, 1)
    )
    expected = ranker.rank(QUESTION, chunks).scores
    backwards = ranker.rank(QUESTION, chunks[::-1]).scores[::-1]
    assert backwards == pytest.approx(expected, rel=1e-12)
    found = alone.rank(QUESTION, chunks).scores
    assert found == pytest.approx(expected, rel=relative)
    assert found == pytest.approx(expected, abs=absolute, rel=0)
    half = AttentionRanker.from_pretrained("smollm2-135m", layout="parallel", dtype=dtype)
    half.warm(chunks[::2])
    assert half.rank(QUESTION, chunks).scores == pytest.approx(expected, rel=relative, abs=1e-6)
