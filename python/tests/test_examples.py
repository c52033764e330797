"""The scripts of python/examples, run as a user runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kvevict import results

REPOSITORY = Path(__file__).resolve().parents[2]
EXAMPLES = REPOSITORY / "python" / "examples"
ROOT = Path(os.environ.get("KVEVICT_ROOT", REPOSITORY))


def run(folder, script, *arguments, fails=False):
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "KVEVICT_DEPS": str(ROOT / ".deps")}
    built = ROOT / "build" / "release" / "bin" / "kvevict"
    if built.exists():
        environment["KVEVICT_PROGRAM"] = str(built)
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / script), *arguments],
        capture_output=True, text=True, cwd=folder, env=environment, check=False,
    )  # fmt: skip
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    return done.stderr if fails else done.stdout


def test_the_checks_of_the_sets_pass(tmp_path):
    said = run(tmp_path, "test_simple_evict.py")
    assert said.count("ok: test_") == 5
    assert "Plan(keeps 768 of 4096 tokens: [0, 256) [3584, 4096))" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "keeps 1280 of 4096 tokens (31.2%)"),
        (["--strategy", "sink_recent", "--save", "a.png"], "sink_recent:256:512: keeps 768 of 4096 tokens (18.8%)"),
        (
            ["--total_len", "8192", "--strategy", "sink_recent_uniform", "--sink_tokens", "256",
             "--recent_tokens", "1024", "--middle_budget", "2816", "--save", "eviction_custom.png"],
            "keeps 4096 of 8192 tokens (50.0%)",
        ),
    ],
)  # fmt: skip
def test_pictures_are_drawn(tmp_path, arguments, said):
    pytest.importorskip("matplotlib")
    assert said in run(tmp_path, "visualize_eviction.py", *arguments)
    name = arguments[-1] if "--save" in arguments else "eviction.png"
    assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def test_results_are_compared_and_drawn(tmp_path):
    if not (ROOT / "build" / "release" / "bin" / "kvevict").exists():
        pytest.skip("the program is not built")
    file = str(REPOSITORY / "results" / "demo" / "qasper.json")
    assert "qasper" in run(tmp_path, "compare_strategies.py", file, "--plot")
    assert (tmp_path / "comparison.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_a_stride_has_no_bound_in_a_stream(tmp_path):
    pytest.importorskip("gguf")
    stride = ("--strategy", "sink_recent_uniform", "--uniform_stride", "2")
    said = run(tmp_path, "run_longbench_example.py", "--demo_mode", *stride, fails=True)
    assert "bound" in said
    assert "Traceback" not in said


def test_a_strategy_that_there_is_not_is_refused(tmp_path):
    pytest.importorskip("matplotlib")
    assert "sink_recant" in run(tmp_path, "visualize_eviction.py", "--strategy", "sink_recant", fails=True)


@pytest.mark.slow
def test_longbench_in_demo_mode_and_a_comparison(tmp_path):
    pytest.importorskip("gguf")
    pytest.importorskip("pandas")
    small = ("--max_new_tokens", "16", "--chunk", "256")
    run(tmp_path, "run_longbench_example.py", "--demo_mode", *small, "--output", "results/sr.json")
    uniform = ("--strategy", "sink_recent_uniform", "--middle_budget", "256")
    run(tmp_path, "run_longbench_example.py", "--demo_mode", *uniform, *small, "--output", "results/sru.json")
    tables = results.read(tmp_path / "results/sr.json", tmp_path / "results/sru.json")
    assert list(tables["examples"]["kept_tokens"])[:2] == [320, 320]
    assert len(tables["examples"]) == 4
    assert set(tables["examples"]["generated_tokens"]) <= set(range(1, 17))
    both = run(tmp_path, "compare_strategies.py", "results/sr.json", "results/sru.json", "--format", "json")
    assert json.loads(both)["runs"] == ["sink_recent:64:256", "sink_recent_uniform:64:256:256"]


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["multifieldqa_en.parquet", "multifieldqa_en/test-00000-of-00001.parquet"])
def test_parquet_files_are_read_as_users_have_them(tmp_path, layout):
    pytest.importorskip("gguf")
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("datasets")
    text = (REPOSITORY / "data" / "demo" / "multifieldqa_en.jsonl").read_text(encoding="utf-8")
    rows = [json.loads(line) for line in text.splitlines()]
    for file, row in ((layout, rows[0]), ("multifieldqa_en_e.parquet", rows[1])):
        (tmp_path / "data" / file).parent.mkdir(parents=True, exist_ok=True)
        pandas.DataFrame([row]).to_parquet(tmp_path / "data" / file)
    run(
        tmp_path, "run_longbench_example.py", "--demo_mode", "--data_dir", "data", "--num_examples", "2",
        "--max_new_tokens", "4", "--output", "x.json",
    )  # fmt: skip
    found = json.loads((tmp_path / "x.json").read_text())["runs"][0]["datasets"][0]["examples"]
    assert [example["answers"] for example in found] == [rows[0]["answers"]], "and none of multifieldqa_en_e"
