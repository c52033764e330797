"""The notebook of python/examples runs, and says what its outputs say."""

import os
import re
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("gguf")

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
ROOT = Path(os.environ.get("KVEVICT_ROOT", EXAMPLES.parents[1]))


def texts(notebook):
    """What the cells printed and gave, without pictures."""
    found = []
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            text = output.get("text") or output.get("data", {}).get("text/plain", "")
            found.append(re.sub(r"<Figure size.*>", "", text))
    return found


@pytest.mark.slow
def test_its_cells_give_the_outputs_that_it_shows(monkeypatch):
    monkeypatch.setenv("KVEVICT_DEPS", str(ROOT / ".deps"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    notebook = nbformat.read(EXAMPLES / "bounded_cache.ipynb", as_version=4)
    shown = texts(notebook)
    nbclient.NotebookClient(
        notebook, timeout=900, kernel_name="python3", resources={"metadata": {"path": str(EXAMPLES)}}
    ).execute()
    report = r"\w+[:\d]*, \w+ positions.*held \(\d+ at most\)"
    reports = [re.findall(report, "\n".join(t)) for t in (shown, texts(notebook))]
    assert len(reports[0]) == 5
    assert reports[0] == reports[1]
    assert any("is right over 48 tokens" in text for text in texts(notebook))
