"""Folders of runs that a report cannot be made of."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from wrong_input import Case

from clipit_eva import files
from clipit_eva.predictions import predictions_table

REPORT = "clipit-eva report runs --output report --resamples 1000"
Change = Callable[[pd.DataFrame, dict[str, Any]], Any]


def _write(
    path: Path, method: str, seed: int, change: Change | None = None, count: int = 12
) -> None:
    """Writes one run's predictions table, changed."""
    probs = np.full((count, 2), 0.5, dtype=np.float32)
    names = [f"{place}.tif" for place in range(count)]
    branch = {"unimodal": "vision", "clip_it": "fused"}[method]
    targets = [place % 2 for place in range(count)]
    rows = predictions_table.make_rows("test", branch, range(count), names, targets, probs)
    backbone = {"class_path": "eva.Backbone", "init_args": {"model_name": "x/y"}}
    name = "CLIPITModule" if method == "clip_it" else "eva.HeadModule"
    made: dict[str, Any] = {
        "config": {"model": {"class_path": name, "init_args": {"backbone": backbone}}},
        "seed": seed,
        "run": str(path / "run_0"),
        "checkpoint": "0" * 64,
        "datasets": [{"class": "eva.BACH", "classes": ["a", "b"]}],
    }
    changed = None if change is None else change(rows, made)
    rows = rows if changed is None else changed
    files.write_table(rows, path / "run_0" / predictions_table.FILENAME, provenance=made)


def _runs(change: Change | None = None, **options: Any) -> Callable[[Path, Path], None]:
    """Returns what writes two runs, the second changed."""

    def spoil(folder: Path, _: Path) -> None:
        _write(folder / "runs" / "a", "unimodal", 1)
        _write(folder / "runs" / "b", **{"method": "clip_it", "seed": 1, **options}, change=change)

    return spoil


def _case(wrong: str, change: Change | None, names: str = "runs/b", **options: Any) -> Case:
    return Case(wrong, REPORT, spoil=_runs(change, **options), names=names)


def _bytes(content: bytes) -> Callable[[Path, Path], None]:
    def spoil(folder: Path, shared: Path) -> None:
        _runs()(folder, shared)
        (folder / "runs/b/run_0/predictions.parquet").write_bytes(content)

    return spoil


def _probability(value: float) -> Change:
    return lambda rows, made: rows.assign(prob_1=np.float32(value))


TABLES = [
    Case("a table that is text", REPORT, spoil=_bytes(b"zanzibar"), names="runs/b", quotes=True),
    Case("an empty file", REPORT, spoil=_bytes(b""), names="runs/b", quotes=True),
    _case("a column is missing", lambda rows, made: rows.drop(columns="target"), "target"),
    _case("probabilities are missing", lambda rows, made: rows.drop(columns="prob_1"), "prob_1"),
    _case("a probability that is no number", _probability(float("nan"))),
    _case("a probability above 1", _probability(3.0)),
    _case("probabilities that do not sum to 1", _probability(0.1)),
    _case("probabilities as text", lambda rows, made: rows.assign(prob_1="high")),
    _case("a probability of no class", lambda rows, made: rows.assign(prob_x=0.0)),
    _case("a sample twice", lambda rows, made: pd.concat([rows, rows.iloc[:1]])),
    _case("a class that is not there", lambda rows, made: rows.assign(target=5)),
    _case("a prediction below 0", lambda rows, made: rows.assign(prediction=-1)),
    _case("a prediction that is no number", lambda rows, made: rows.assign(prediction="b")),
    _case("samples without a class", lambda rows, made: rows.assign(
        target=pd.array([None] * len(rows), "Int64"))),
    _case("an unknown branch", lambda rows, made: rows.assign(branch="third")),
    _case("no provenance", lambda rows, made: made.clear()),
    _case("provenance without a configuration", lambda rows, made: made.update(config={})),
    _case("provenance that is a list", lambda rows, made: made.update(datasets=["BACH"])),
    _case("predictions that are not the likeliest class",
          lambda rows, made: rows.assign(prob_0=np.float32(0.9), prob_1=np.float32(0.1),
                                         prediction=1)),
]  # fmt: skip

STUDIES = [
    Case("a folder that is not there", REPORT, names="runs"),
    Case("a folder without runs", REPORT, files={"runs/a.txt": b""}, names="runs"),
    Case("a file in the place of the folder", REPORT, files={"runs": b""}),
    Case("validation alone", REPORT, spoil=lambda folder, _: _write(
        folder / "runs/a", "unimodal", 1, lambda rows, made: rows.assign(split="val")),
        names="runs"),
    _case("other samples", None, count=10),
    _case("other classes of the samples", lambda rows, _: rows.assign(target=1 - rows["target"])),
    _case("other file names", lambda rows, made: rows.assign(filename="x.tif")),
    _case("the same run twice", None, method="unimodal"),
    Case("a grid's list of runs that is not JSON", REPORT, files={"runs/grid.json": b"{"},
         names="grid.json", quotes=True),
    Case("a grid's list of runs elsewhere", REPORT,
         files={"runs/grid.json": b'{"runs": ["../other"]}'}),
    Case("a grid without a list of runs", REPORT, files={"runs/grid.json": b'{"jobs": 7}'}),
]  # fmt: skip

OPTIONS = [
    Case("no output", "clipit-eva report runs", spoil=_runs(), names="--output"),
    *(
        Case(f"`{flag} {value}`", f"clipit-eva report runs --output report {flag}={value}",
             spoil=_runs(), names=flag.removeprefix("--"))
        for flag, values in (("--margin", ("0", "-1", "nan", "inf", "x")),
                             ("--resamples", ("0", "-5", "1.5", "many")))
        for value in values
    ),
    *(
        Case(f"`{flag}=yes`", f"clipit-eva report runs --output report {flag}=yes", spoil=_runs(),
             names=flag)
        for flag in ("--thumbnails", "--report-text")
    ),
    Case("groups that are not there", f"{REPORT} --groups g.csv", spoil=_runs(), names="g.csv"),
    Case("groups without a column", f"{REPORT} --groups g.csv", spoil=_runs(),
         files={"g.csv": b"filename,slide\na.tif,1\n"}, names="group"),
    Case("a file in the place of the output", REPORT, spoil=_runs(), files={"report": b""}),
    Case("an unknown command", "clipit-eva reprot runs", names="reprot"),
    Case("an unknown flag", "clipit-eva report runs --output o --fast", names="--fast"),
    *(
        Case(f"the demo with `{flag} {value}`", f"clipit-eva demo {flag}={value}", names=flag)
        for flag, value in (("--replaced-share", "2"), ("--replaced-share", "nan"),
                            ("--replaced-share", "half"), ("--jobs", "0"), ("--jobs", "two"))
    ),
    Case("the demo in a folder of something else", "clipit-eva demo --output mine",
         files={"mine/a.txt": b""}, names="mine"),
    Case("an argument too many", "clipit-eva clip-models all", names="all"),
]  # fmt: skip

CASES = [*TABLES, *STUDIES, *OPTIONS]
