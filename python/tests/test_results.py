"""Results files of the program as tables."""

import json
import pathlib

import pytest

from kvevict import results

ROOT = pathlib.Path(__file__).resolve().parents[2]
QASPER = ROOT / "results" / "demo" / "qasper.json"
PERPLEXITY = ROOT / "results" / "long" / "perplexity-jargon-packed-10240.json"


@pytest.fixture(params=["pandas", "polars"])
def library(request):
    pytest.importorskip(request.param)
    return request.param


def rows_of(frame):
    return frame.to_dict("records") if hasattr(frame, "iloc") else frame.to_dicts()


def test_longbench_has_runs_data_sets_and_examples(library):
    tables = results.read(QASPER, library=library)
    file = json.loads(QASPER.read_text())
    assert list(tables) == ["runs", "datasets", "examples"]
    names = [run["run"]["name"] for run in file["runs"]]
    assert list(tables["runs"]["run"]) == names
    assert list(tables["datasets"]["score"]) == [run["datasets"][0]["score"] for run in file["runs"]]
    first, want = rows_of(tables["examples"])[0], file["runs"][0]["datasets"][0]["examples"][0]
    assert first["run"] == names[0]
    assert first["seconds.prefill"] == want["seconds"]["prefill"]
    assert first["prediction"] == want["prediction"]
    assert len(tables["examples"]) == sum(len(r["datasets"][0]["examples"]) for r in file["runs"])
    assert list(tables["runs"]["configuration.prefill"]) == ["full"] * len(names)


def test_perplexity_has_windows(library):
    tables = results.read(PERPLEXITY, library=library)
    file = json.loads(PERPLEXITY.read_text())
    assert list(tables["runs"]["perplexity"]) == [run["perplexity"] for run in file["runs"]]
    rows = [r for r in rows_of(tables["windows"]) if r["run"] == file["runs"][1]["run"]["name"]]
    assert [(r["tokens_seen"], r["perplexity"]) for r in rows] == [
        (w["tokens_seen"], w["perplexity"]) for w in file["runs"][1]["windows"]
    ]


def test_files_of_several_kinds_are_put_together(library):
    other = ROOT / "results" / "demo" / "musique.json"
    tables = results.read(QASPER, other, PERPLEXITY, library=library)
    assert set(tables) == {"runs", "datasets", "examples", "windows"}
    assert set(tables["datasets"]["file"]) == {"qasper.json", "musique.json"}
    assert set(tables["runs"]["file"]) == {"qasper.json", "musique.json", PERPLEXITY.name}


def run_named(name):
    file = json.loads(QASPER.read_text())
    return {**file["runs"][0]["run"], "name": name}


@pytest.mark.parametrize(
    ("file", "table", "expected"),
    [
        (
            {"schema": "kvevict-needle/1", "lengths": [100], "depths": [0], "runs": [
                {"run": run_named("a"), "answers": [{"length": 100, "depth": 0, "found": True, "prediction": "7"}]}]},
            "answers",
            [{"file": "x.json", "run": "a", "length": 100, "depth": 0, "found": True, "prediction": "7"}],
        ),
        (
            {"schema": "kvevict-overhead/1", "plain": [{"seconds_prefill": 1.0}], "runs": [
                {"run": run_named("a"), "samples": [{"seconds_prefill": 2.0}]}]},
            "samples",
            [{"file": "x.json", "run": "llama.cpp alone", "seconds_prefill": 1.0},
             {"file": "x.json", "run": "a", "seconds_prefill": 2.0}],
        ),
        (
            {"schema": "kvevict-comparison/1", "runs": ["a"], "left_out": 0, "flips": [], "datasets": [
                {"dataset": "all", "examples": 3, "runs": [{"run": "a", "score": 5.0, "against_first": {"p": 0.5}}]}]},
            "datasets",
            [{"file": "x.json", "dataset": "all", "n_examples": 3, "run": "a", "score": 5.0, "against_first.p": 0.5}],
        ),
    ],
)  # fmt: skip
def test_the_other_kinds(tmp_path, library, file, table, expected):
    (tmp_path / "x.json").write_text(json.dumps(file))
    assert rows_of(results.read(tmp_path / "x.json", library=library)[table]) == expected


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "is not JSON"),
        ("[]", r"has the schema None: one of kvevict-results/1.*is needed"),
        ('{"schema": "kvevict-results/9"}', "has the schema 'kvevict-results/9'"),
        ('{"schema": "kvevict-results/1", "runs": [{}]}', "says kvevict-results/1 and is not of that form"),
    ],
)
def test_other_files_are_refused(tmp_path, content, sentence):
    pytest.importorskip("pandas")
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(ValueError, match=sentence):
        results.read(tmp_path / "x.json")


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="no file was given"):
        results.read()
    with pytest.raises(ValueError, match="library is 'arrow': 'pandas' or 'polars' is needed"):
        results.read(QASPER, library="arrow")
