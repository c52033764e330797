"""What the ``kvevict`` program writes, as tables of pandas or polars.

>>> tables = kvevict.results.read("results/sr_narrativeqa.json")  # doctest: +SKIP
>>> tables["datasets"]  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

Row = dict[str, Any]
Rows = dict[str, list[Row]]

__all__ = ["read"]


def _run_row(run: Row) -> Row:
    """The run itself, one column for each of its settings."""
    model = {f"model_{k}": v for k, v in run["model"].items()}
    settings = {f"configuration.{k}": v for k, v in run["configuration"].items()}
    values = {f"strategy.{k}": v for k, v in run["strategy"]["values"].items()}
    return {
        "run": run["name"],
        "strategy": run["strategy"]["name"],
        "policy": run["strategy"]["policy"],
        "status": run["status"],
        "started_utc": run["started_utc"],
        "seconds_total": run["seconds_total"],
        **model,
        **{f"version.{k}": v for k, v in run["versions"].items()},
        **{f"machine.{k}": v for k, v in run["machine"].items()},
        **values,
        **settings,
    }


def _plain(row: Row, prefix: str = "") -> Row:
    """``row`` without objects in it: their members become columns, ``seconds.prefill``. Lists stay."""
    flat: Row = {}
    for key, value in row.items():
        flat |= _plain(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat


def _longbench(file: Row) -> Rows:
    tables: Rows = {"runs": [], "datasets": [], "examples": []}
    for run in file["runs"]:
        tables["runs"].append(_run_row(run["run"]))
        name = {"run": run["run"]["name"]}
        for dataset in run["datasets"]:
            rest = {k: v for k, v in dataset.items() if k not in ("name", "examples")}
            of = name | {"dataset": dataset["name"]}
            tables["datasets"].append(of | _plain(rest) | {"n_examples": len(dataset["examples"])})
            for example in dataset["examples"]:
                ranges = example["kept_ranges"]  # one list, or one for each layer: kept as it is
                tables["examples"].append(of | _plain({**example, "kept_ranges": None}) | {"kept_ranges": ranges})
    return tables


def _of_runs(inner: str, table: str) -> Callable[[Row], Rows]:
    """For files whose runs have one list ``inner``, which becomes the table ``table``."""

    def read_runs(file: Row) -> Rows:
        tables: Rows = {"runs": [], table: []}
        for run in file["runs"]:
            name = {"run": run["run"]["name"]}
            rest = {k: v for k, v in run.items() if k not in ("run", inner)}
            tables["runs"].append(_run_row(run["run"]) | _plain(rest))
            tables[table] += [name | _plain(row) for row in run[inner]]
        return tables

    return read_runs


def _overhead(file: Row) -> Rows:
    tables = _of_runs("samples", "samples")(file)
    tables["samples"] = [{"run": "llama.cpp alone", **_plain(s)} for s in file["plain"]] + tables["samples"]
    return tables


def _comparison(file: Row) -> Rows:
    tables: Rows = {"runs": [{"run": name} for name in file["runs"]], "datasets": [], "flips": []}
    for dataset in file["datasets"]:
        of = {"dataset": dataset["dataset"], "n_examples": dataset["examples"]}
        tables["datasets"] += [of | _plain(run) for run in dataset["runs"]]
    tables["flips"] = [_plain(flip) for flip in file["flips"]]
    return tables


_KINDS: dict[str, Callable[[Row], Rows]] = {
    "kvevict-results/1": _longbench,
    "kvevict-needle/1": _of_runs("answers", "answers"),
    "kvevict-perplexity/1": _of_runs("windows", "windows"),
    "kvevict-overhead/1": _overhead,
    "kvevict-comparison/1": _comparison,
}


def _rows_of(path: Path) -> Rows:
    try:
        file = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    schema = file.get("schema") if isinstance(file, dict) else None
    if schema not in _KINDS:
        raise ValueError(f"{path} has the schema {schema!r}: one of {', '.join(_KINDS)} is needed")
    try:
        return _KINDS[schema](file)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} says {schema} and is not of that form: {error!r}") from error


def _frame_maker(library: str | None) -> Callable[[list[Row]], Any]:
    if library not in (None, "pandas", "polars"):
        raise ValueError(f"library is {library!r}: 'pandas' or 'polars' is needed")
    for name in (library,) if library else ("pandas", "polars"):
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        if name == "polars":
            return lambda rows: module.DataFrame(rows, infer_schema_length=None, strict=False)
        return module.DataFrame  # type: ignore[no-any-return]
    raise ImportError(f"tables need {library or 'pandas or polars'}, which is not installed")


def read(*paths: str | os.PathLike[str], library: str | None = None) -> dict[str, Any]:
    """Tables of one or several files that ``longbench``, ``needle``, ``perplexity``, ``overhead`` or ``compare`` wrote.

    Parameters
    ----------
    *paths
        Files, of one kind or of several. Rows of the same table are put below each other, with a column ``file``.
    library
        ``"pandas"`` or ``"polars"``; None: the first of them that is installed.

    Returns
    -------
    dict
        By name: ``runs`` (one row for each strategy, its settings as columns) and, by kind, ``datasets`` and
        ``examples`` (longbench), ``answers`` (needle), ``windows`` (perplexity), ``samples`` (overhead), ``datasets``
        and ``flips`` (compare). The columns are named as in docs/file_formats.md; an object's members follow a point.

    Raises
    ------
    ValueError
        For a file of another form.
    ImportError
        Without pandas and polars.
    """
    if not paths:
        raise ValueError("no file was given: read needs one or more")
    make_frame = _frame_maker(library)
    tables: Rows = {}
    for path in map(Path, paths):
        for name, rows in _rows_of(path).items():
            tables.setdefault(name, []).extend({"file": path.name, **row} for row in rows)
    return {name: make_frame(_with_all_columns(rows)) for name, rows in tables.items()}


def _with_all_columns(rows: Iterable[Row]) -> list[Row]:
    rows = list(rows)
    columns = dict.fromkeys(key for row in rows for key in row)
    return [{key: row.get(key) for key in columns} for row in rows]
