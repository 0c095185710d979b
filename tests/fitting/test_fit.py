"""From labelled queries to a profile, with real models and with heads that are known to be good."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sklearn.metrics import ndcg_score
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

import attnmass
from attnmass import AttentionRanker, CrossOptions, PointwiseReading, fit_profile, load_profile
from attnmass.fitting import DataError, NotBetterError, read_data, run, verify_profile
from attnmass.fitting.captures.capture import capture_all, look_at_heads
from attnmass.fitting.captures.store import Store
from attnmass.fitting.queries.data import digest
from attnmass.fitting.subject import open_model
from attnmass.models.sizes import fingerprint
from attnmass.profiles import ProfileMismatchError
from tests.fitting.support import fit_tiny, planted_look, rows, written
from tests.models.lookups import lookups
from tests.tiny import tiny_model, tiny_tokenizer

ROOT = Path(attnmass.__file__).parents[1]
QUICK: dict[str, Any] = {"max_heads": 2, "methods": ["single", "listwise"], "evidence": False}


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> None:
    """One head of the tiny model is as good as can be."""
    monkeypatch.setattr(run, "look_at_heads", planted_look)


def fit(data: Any, tmp_path: Path, **options: Any) -> Any:
    """Fit the tiny model, quickly."""
    return fit_tiny(tmp_path, data, **{**QUICK, **options})


@pytest.mark.usefixtures("planted")
def test_what_is_found(tmp_path: Path) -> None:
    """The planted head ranks, the planted span head scores sentences, and numbers say so."""
    result = fit(rows(), tmp_path)
    profile, report = result.profile, result.report
    assert profile.heads == ((2, 2),)
    assert profile.weights == (1.0,)
    assert profile.spans is not None
    assert profile.spans.heads == ((2, 1),)
    assert (profile.source, profile.layout) == ("fitted", "parallel")
    assert profile.fingerprint == fingerprint(tiny_model().config)
    assert profile.fitted_on == "12 queries of data, by the method 'single'"
    measured = profile.measured["data, held-out folds"]
    assert measured["queries"] == 12
    assert measured["ndcg@10"] == 1.0 > measured["mid-depth default"]
    assert measured["ndcg@10"] > measured["bm25"]
    assert result.better
    assert report.reasons == ()
    assert all("better than" in line for line in map(str, report.differences))
    assert [point.ndcg.mean for point in report.layers_curve][-1] == 1.0
    assert report.layers_curve[0].ndcg.mean < 0.9
    assert report.best_single[0][0] == (2, 2)


@pytest.mark.usefixtures("planted")
def test_save(tmp_path: Path) -> None:
    """The profile's file loads, and the report beside it is JSON with all curves."""
    result = fit(rows(sentences=False), tmp_path)
    path = tmp_path / "heads.json"
    report = result.save(path)
    assert report == tmp_path / "heads.report.json"
    assert load_profile(path) == result.profile
    told = json.loads(report.read_text())
    assert told["better"] is True
    assert told["heads"] == [[2, 2]]
    assert {point["at"] for point in told["heads_curve"]} == {1, 2}
    assert [point["at"] for point in told["layers_curve"]] == [0, 1, 2]
    assert {score["name"] for score in told["scores"]} == {
        "profile",
        "its heads alone",
        "mid-depth default",
        "bm25",
        "all heads",
    }
    markdown = result.report.to_markdown()
    assert markdown.startswith("# Heads of llama, layout parallel")
    assert "| BM25 |" in markdown
    assert "12 queries are few" in markdown
    ranker = AttentionRanker(tiny_model(), tiny_tokenizer(), profile=path)
    assert ranker.profile.heads == ((2, 2),)


def test_refusal(tmp_path: Path) -> None:
    """A profile that is no better is not written, and it is told than what and by how much."""
    data = rows(sentences=False)
    for row in data:  # the words of the query lead to what is relevant
        row["chunks"][0]["text"] += " Einstein"
    result = fit(data, tmp_path)
    assert not result.better
    path = tmp_path / "heads.json"
    with pytest.raises(
        NotBetterError, match=r"not better than BM25: -0\.\d+ nDCG@10 \(-0\."
    ) as got:
        result.save(path)
    assert got.value.reasons == result.report.reasons
    assert not list(tmp_path.glob("*.json"))
    result.save(path, force=True)
    forced = load_profile(path)
    assert forced.heads == result.profile.heads
    assert "written all the same: " in forced.measured["warning"]
    assert "not better than BM25" in forced.measured["warning"]


def test_a_trained_model_and_a_perfect_rival(tmp_path: Path) -> None:
    """Heads that look facts up are found; as good as BM25 is not better, and is refused."""
    folder = ROOT / "tests" / "models" / "t5"
    cases = lookups(103, n_documents=8, n_facts=3)
    data = [
        {
            "query": case.question,
            "chunks": [
                {"text": text, "relevant": int(i == case.right)}
                for i, text in enumerate(case.documents)
            ],
        }
        for case, _ in zip(cases, range(40), strict=False)
    ]
    result = fit_tiny(
        tmp_path,
        data,
        model=AutoModelForSeq2SeqLM.from_pretrained(folder),
        tokenizer=AutoTokenizer.from_pretrained(folder),
        reading=PointwiseReading(cross=CrossOptions(rows="last")),
        **QUICK,
    )
    assert result.profile.layout == "pointwise"
    assert set(result.profile.heads) <= set(load_profile(folder / "profile.json").heads)
    assert result.profile.measured["data, held-out folds"]["ndcg@10"] >= 0.95
    default, words = result.report.differences
    assert default.better
    assert default.other == "mid-depth default"
    assert not words.better
    assert result.report.reasons == (str(words),)


@pytest.mark.parametrize("layout", ["parallel", "joint"])
def test_real_attention(tmp_path: Path, layout: str) -> None:
    """What is captured is what rankings have, for each head, chunk and sentence."""
    query = read_data(rows(1)).queries[0]
    subject = open_model(tiny_model(), tiny_tokenizer(), layout=layout)
    heads = [(0, 1), (2, 3)]
    ranker = subject.ranker(heads=heads)
    (capture,) = capture_all(
        [query],
        look_at_heads(ranker, subject.plain),
        Store(tmp_path, {}),
        desc="",
        progress=False,
    )
    assert (capture.null is not None) is (layout == "joint")
    texts = [chunk.text for chunk in query.chunks]
    for row, head in enumerate(heads):
        alone = subject.ranker(heads=[head]).attention(query.query, texts)
        masses = [float(chunk.sum()) for chunk in alone.chunks]
        assert capture.masses[row].tolist() == pytest.approx(masses, abs=1e-5)
    assert capture.span_masses is not None
    by_chunk = capture.span_masses.reshape(2, 5, 3).sum(axis=2)
    if layout == "parallel":  # spaces between sentences are part of the tokens after them
        assert (by_chunk <= capture.masses + 1e-5).all()
        assert by_chunk.sum() > 0.8 * capture.masses.sum()


KILLED = """
import os, signal, sys
sys.path.insert(0, {root!r})
from attnmass import fit_profile
from attnmass.fitting.captures import store
from tests.tiny import tiny_model, tiny_tokenizer
write, count = store.Store.write, [0]
def dying(self, name, capture):
    write(self, name, capture)
    count[0] += 1
    if count[0] == 5:
        os.kill(os.getpid(), signal.SIGKILL)
store.Store.write = dying
fit_profile({data!r}, model=tiny_model(), tokenizer=tiny_tokenizer(), captures={captures!r})
"""


def test_a_killed_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was captured before a kill is not captured again, and the result is as if in one go."""
    data = written(tmp_path / "data.jsonl", rows(8, sentences=False))
    captures = tmp_path / "captures"
    program = KILLED.format(root=str(ROOT), data=str(data), captures=str(captures))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()[-2000:]
    before = {path.stem for path in captures.rglob("*.safetensors")}
    assert len(before) == 5

    looked: list[str] = []

    def counting(*args: Any) -> Any:
        look = look_at_heads(*args)

        def one(query: Any) -> Any:
            looked.append(digest(query))
            return look(query)

        return one

    monkeypatch.setattr(run, "look_at_heads", counting)
    result = fit(data, tmp_path)
    assert len(looked) == 3
    assert not before & set(looked)
    looked.clear()
    again = fit(data, tmp_path)
    assert looked == []
    fresh = fit(data, tmp_path, captures=tmp_path / "other")
    assert len(looked) == 8
    assert again.profile == fresh.profile == result.profile
    assert again.report == fresh.report == result.report


def test_another_model_is_captured_anew(tmp_path: Path) -> None:
    """A fine-tune shares the fingerprint of its base, and no captures."""
    data = rows(6, sentences=False)
    one, other = fit(data, tmp_path), fit(data, tmp_path, model=tiny_model(seed=1))
    assert one.report.fingerprint == other.report.fingerprint
    assert one.report.best_single != other.report.best_single
    assert len(list((tmp_path / "captures").iterdir())) == 2


def test_nothing_of_the_callers_changes(tmp_path: Path) -> None:
    """Neither the data nor the model is written to."""
    data, model = rows(6, sentences=False), tiny_model()
    text, weights = json.dumps(data), {k: v.clone() for k, v in model.state_dict().items()}
    fit(data, tmp_path, model=model, layout="joint")
    assert json.dumps(data) == text
    assert all(bool((model.state_dict()[k] == v).all()) for k, v in weights.items())


def test_no_rule_on_request(tmp_path: Path) -> None:
    """Without a rule nothing else changes: the same heads, and no heads beside them."""
    with_rule = fit(rows(8, sentences=False), tmp_path)
    without = fit(rows(8, sentences=False), tmp_path, rule=False)
    assert set(with_rule.report.ranking["by_count"]) > {"0"}
    assert set(without.report.ranking["by_count"]) == {"0"}
    assert without.profile.ranking is None
    assert without.profile.heads == with_rule.profile.heads
    assert without.profile.all_heads == without.profile.heads


def test_evidence_and_its_threshold(tmp_path: Path) -> None:
    """Evidence is fitted where asked for, and told in the report."""
    result = fit(rows(8, sentences=False), tmp_path, evidence=True)
    assert result.report.evidence is not None
    assert 0 <= result.report.evidence["auc"] <= 1
    has_threshold = result.profile.evidence.threshold is not None
    assert has_threshold is (result.report.evidence["auc"] >= 0.6)


def test_deepest_layer(tmp_path: Path) -> None:
    """Heads above `max_layer` are not selected; a layer that is not there is an error."""
    result = fit(rows(6, sentences=False), tmp_path, max_layer=0)
    assert result.profile.last_layer == 0
    assert [point.at for point in result.report.layers_curve] == [0]
    with pytest.raises(ValueError, match="max_layer must be between 0 and 2"):
        fit(rows(6), tmp_path, max_layer=3)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"max_heads": 0}, "max_heads must be at least 1"),
        ({"folds": 2}, "folds must be at least 3"),
        ({"methods": ["best"]}, "methods must be some of 'single'.*not 'best'"),
        ({"methods": []}, "not none"),
        ({"layout": "wide"}, "layout 'wide' is not one of"),
        ({"layout": "pointwise"}, "is not for a decoder"),
    ],
)
def test_options_that_are_off(tmp_path: Path, options: dict[str, Any], match: str) -> None:
    """Options are checked before anything is captured."""
    with pytest.raises(ValueError, match=match):
        fit(rows(6), tmp_path, **options)
    assert not (tmp_path / "captures").exists()


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("max_heads", r"selection=HeadSelection\(\.\.\.\)"),
        ("seed", r"selection=HeadSelection\(\.\.\.\)"),
        ("qrels", r"read_data\(\.\.\.\), whose result is data"),
        ("limit", r"read_data\(\.\.\.\) and made_of\(\.\.\.\)"),
        ("corpus", r"read_data\(\.\.\.\).*without labels it is texts=\.\.\."),
    ],
)
def test_options_of_other_calls(name: str, call: str) -> None:
    """What reads data or selects heads is said there, and the error says where."""
    for function, given in ((fit_profile, ()), (verify_profile, ("heads.json",))):
        with pytest.raises(TypeError, match=f"{name} is an option of {call}"):
            function(*given, rows(6), **{name: 1})  # type: ignore[arg-type, operator]


@pytest.mark.parametrize("name", ["heads", "profile", "rank_by", "device"])
def test_options_that_are_not_for_fits(tmp_path: Path, name: str) -> None:
    """What a fit decides, and what loads a model that is loaded, is refused by name."""
    with pytest.raises(TypeError, match=name):
        fit(rows(6), tmp_path, **{name: None})


def test_queries_that_the_model_cannot_read(tmp_path: Path) -> None:
    """A query that is too long for the model is told with its line."""
    data = rows(6, sentences=False)
    data[3]["query"] = "Einstein " * 2000
    with pytest.raises(DataError, match=r"data\.jsonl:4: the query has 2001 tokens"):
        fit(written(tmp_path / "data.jsonl", data), tmp_path)


def test_without_bm25(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without rank-bm25 the first thing said is what installs it."""
    monkeypatch.setattr("attnmass.fitting.queries.bm25.importlib.util.find_spec", lambda _: None)
    with pytest.raises(ImportError, match=r"pip install 'attnmass\[fit\]'"):
        fit(rows(6), tmp_path)


@pytest.mark.usefixtures("planted")
def test_verify(tmp_path: Path) -> None:
    """A profile's scores are those of rankings; it holds only if it is better than both."""
    profile = fit(rows(sentences=False), tmp_path).profile
    data = rows(8, sentences=False, seed=1)
    found = verify_profile(
        profile, data, model=tiny_model(), tokenizer=tiny_tokenizer(), progress=False
    )
    assert found.data == {"data": 8}
    assert [score.name for score in found.scores] == ["profile", "mid-depth default", "bm25"]
    assert found.holds is all(one.better for one in found.differences)
    ranker = AttentionRanker(tiny_model(), tiny_tokenizer(), profile=profile)
    expected = []
    for query in read_data(data).queries:
        scores = ranker.rank(query.query, [chunk.text for chunk in query.chunks]).scores
        expected.append(ndcg_score([query.relevant], [scores], k=10))
    assert found.scores[0].ndcg.mean == pytest.approx(sum(expected) / 8, abs=1e-6)


def test_verify_another_model(tmp_path: Path) -> None:
    """A profile of another model does not get as far as ranking."""
    profile = load_profile(ROOT / "attnmass" / "profiles" / "data" / "smollm2-135m.parallel.json")
    with pytest.raises(ProfileMismatchError, match="the profile is for smollm2-135m"):
        verify_profile(profile, rows(2), model=tiny_model(), tokenizer=tiny_tokenizer())
