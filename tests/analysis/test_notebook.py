"""The README's lines for a notebook, run as they stand."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from clipit_eva.analysis.report import Options, write_report

TARGETS = np.arange(160) % 4


@pytest.mark.parametrize("grouped", [False, True])
def test_the_notebooks_headline_is_the_pages(write_run, drawn, tmp_path, monkeypatch, grouped):
    for seed in (1, 2, 3):
        for method, right in (("unimodal", 0.7), ("clip_it", 0.75)):
            predictions = drawn(TARGETS, right, 10 * seed + len(method))
            write_run(method, TARGETS, predictions, seed=seed)
    write_run("clip_it", TARGETS, drawn(TARGETS, 0.7, 99), seed=4)  # a seed of one arm alone
    (tmp_path / "logs").symlink_to(write_run.folder)
    monkeypatch.chdir(tmp_path)
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    blocks = [block.split("```")[0] for block in readme.split("```python\n")]
    (lines,) = [block for block in blocks if "crossed_test(" in block]
    groups = None
    if grouped:
        groups = tmp_path / "groups.csv"
        rows = [f"class/{place}.tif,{place % 13}" for place in range(len(TARGETS))]
        groups.write_text("\n".join(["filename,group", *rows]))
        (call,) = [line for line in lines.splitlines() if "study.gather(" in line]
        lines = lines.replace(call, call[:-1] + f", Path({str(groups)!r}))")
    names = {}
    exec(lines, names)
    page = write_report(Path("logs"), tmp_path / "out", Options(n_resamples=1000, groups=groups))
    rows = pd.read_csv(page.with_name("contrasts.csv"))
    row = rows[rows["backbone"].isna() & (rows["contrast"] == "method")].iloc[0]
    headline = names["headline"]
    assert row["p"] == pytest.approx(headline.p_floor, rel=1e-12)
    assert row["difference_points"] == pytest.approx(100 * headline.estimate, rel=1e-12)
    low, high = headline.ci95_floor
    assert (row["low_points"], row["high_points"]) == pytest.approx((100 * low, 100 * high))
    assert (headline.n_seeds, row["n_seeds"]) == (3, 3)
    shown = f"p {headline.p_floor:.3f}"
    assert shown in page.read_text()
