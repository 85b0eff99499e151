import base64
import io
import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from clipit_eva.analysis.report import Options, write_report
from clipit_eva.analysis.report.thumbnails import SIDE
from clipit_eva.cli import main
from clipit_eva.errors import InputError
from clipit_eva.pairing.pairing_table import make_pairs, write_pairs
from clipit_eva.reports.corpus import read_corpus

QUICK = Options(n_resamples=1000)


@pytest.fixture(scope="module")
def report(shared_study, tmp_path_factory):
    """The report of `shared_study`: its page."""
    return write_report(shared_study, tmp_path_factory.mktemp("report"), QUICK)


def test_all_files_are_there_whole_and_the_same_again(report, shared_study, tmp_path):
    again = write_report(shared_study, tmp_path, QUICK)
    contents = []
    for page in (report, again):
        assert page.name == "report.html"
        files = [path for path in page.parent.rglob("*") if path.is_file()]
        contents.append({str(p.relative_to(page.parent)): p.read_bytes() for p in files})
    assert contents[0] == contents[1]
    tables = ("contrasts", "table1", "ablations", "complementarity", "metrics",
              "complementarity_by_class", "metrics_by_class", "secondary", "leakage", "runs",
              "training_settings", "checklist")  # fmt: skip
    figures = ("contrasts", "complementarity", "ablations", "confusion_bach",
               "confusion_crc", "confusion_no_text_bach", "confusion_no_text_crc",
               "calibration_bach", "calibration_crc")  # fmt: skip
    expected = {f"{name}{suffix}" for name in tables for suffix in (".csv", ".md", ".tex")}
    expected |= {f"figures/{name}{suffix}" for name in figures for suffix in (".png", ".svg")}
    errors = {"errors/bach_uni.csv", "errors/crc_uni.csv"}
    assert set(contents[0]) == expected | errors | {"report.html"}
    for name in figures:
        ET.fromstring(contents[0][f"figures/{name}.svg"])
        Image.open(io.BytesIO(contents[0][f"figures/{name}.png"])).verify()


def test_the_page_needs_no_network_and_says_what_it_must(report, shared_study):
    page = report.read_text()
    assert not re.findall(r"""(?:src|href)=["'](?!data:|#)""", page)
    assert "url(" not in page
    assert 'name="viewport"' in page
    for words in (
        "method: CLIP-IT - unimodal",
        "<h1>CLIP-IT against unimodal</h1>",
        "BACH: cannot tell whether reports helped",
        "3 seeds, 120 test images, slides unknown, 1 backbone",
        "Train the missing arms (shuffled pairs)",
        "<code>seeds: [1, 2, 3, 4, 5]</code>",
        "These runs cannot tell whether reports helped: there are no runs of shuffled pairs.",
        "would tell: factors: {shuffled: {PAIRING_POLICY: shuffled}}",
        "the text&#39;s own gain (CLIP-IT minus no text)",
        "UNI on BACH, against no text",
        "No slide ids are known for BACH, CRC",
        "Obuchowski and Rockette 1995",
        "Holm&#39;s method over 4 tests",
        "within a margin of 0.5 points.",
        "Complementarity in each class",
        str(shared_study),
    ):
        assert words in page
    assert "data:image/jpeg" not in page
    assert "fixed beforehand" not in page


def test_a_folder_with_one_arm_is_reported_without_a_headline(write_run, tmp_path):
    targets = np.arange(20) % 4
    write_run("unimodal", targets, targets)
    page = write_report(write_run.folder, tmp_path / "report", QUICK).read_text()
    assert "there is no headline comparison" in page
    assert not (tmp_path / "report" / "contrasts.csv").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (Options(margin_points=0), "--margin 0 must be above 0"),
        (Options(n_resamples=10), "n_resamples is 10"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_read(tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        write_report(tmp_path, tmp_path / "report", options)


def test_a_refused_report_writes_nothing(study_folder, tmp_path):
    path = next(study_folder.rglob("predictions.parquet"))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="damaged or cut off"):
        write_report(study_folder, tmp_path / "report", QUICK)
    assert not (tmp_path / "report").exists()


def test_the_command_writes_the_report(study_folder, tmp_path, capsys):
    arguments = ["report", str(study_folder), "--output", str(tmp_path / "out"), "--margin", "1"]
    assert main([*arguments, "--resamples", "1000"]) == 0
    assert f"Report: {tmp_path / 'out' / 'report.html'}" in capsys.readouterr().out
    assert "within the margin of 1 points" in (tmp_path / "out" / "contrasts.md").read_text()
    assert "Margin 1 points" in (tmp_path / "out" / "ablations.md").read_text()


@pytest.mark.parametrize(("margin", "fixed"), [(None, True), (2.0, True), (1.0, False)])
def test_a_margin_of_the_plan_is_fixed_beforehand(study_folder, tmp_path, margin, fixed):
    runs = [str(path.parent.relative_to(study_folder)) for path in study_folder.rglob("*.parquet")]
    (study_folder / "grid.json").write_text(json.dumps({"runs": runs, "margin": 2}))
    page = write_report(study_folder, tmp_path / "report", replace(QUICK, margin_points=margin))
    ends = " that was fixed beforehand." if fixed else "."
    assert f"within a margin of {margin or 2:g} points{ends}" in page.read_text()
    assert f"Margin {margin or 2:g} points" in (tmp_path / "report" / "ablations.md").read_text()


def test_groups_make_intervals_those_of_slides(study_folder, tmp_path, capsys):
    groups = tmp_path / "groups.csv"
    rows = [f"class/{place}.tif,p{place % 15}" for place in range(120)]
    groups.write_text("\n".join(["filename,group", *rows]))
    output = tmp_path / "out"
    arguments = ["report", str(study_folder), "--output", str(output), "--resamples", "1000"]
    assert main([*arguments, "--groups", str(groups)]) == 0
    page = (output / "report.html").read_text()
    assert "patch-level" not in page
    assert "BACH 120 (15 slides or patients; 3 seeds)" in page
    assert set(pd.read_csv(output / "contrasts.csv")["n_slides"]) == {15}
    assert main([*arguments, "--groups", str(tmp_path / "none.csv")]) == 2
    assert "none.csv is no readable CSV" in capsys.readouterr().err


def test_the_command_ends_a_mistake_in_one_line(tmp_path, capsys):
    assert main(["report", str(tmp_path), "--output", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("clipit-eva: error: ")
    assert "holds no predictions.parquet" in error
    assert error.count("\n") == 1


def test_images_and_reports_are_shown_when_asked_for(write_run, tmp_path):
    """Thumbnails and paired reports appear when asked for, and only then."""
    targets = np.arange(8) % 2
    names = [f"{'ab'[t]}/{i}.png" for i, t in enumerate(targets)]
    for name in names:
        path = tmp_path / "data" / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (200, 100), (200, 0, 100)).save(path)
    (tmp_path / "reports.txt").write_text("".join(f"secret finding {i}\n" for i in range(8)))
    pairing = tmp_path / "pairs.parquet"
    ids = read_corpus(tmp_path / "reports.txt").ids
    pairs = make_pairs("val", names, ids, np.arange(8)[:, None], np.ones((8, 1), np.float32))
    write_pairs(pairs, pairing, {})
    inner = {
        "class_path": "eva.BACH",
        "init_args": {"root": str(tmp_path / "data"), "split": "val"},
    }
    reports = {"init_args": {"path": str(tmp_path / "reports.txt"), "column": "text"}}
    paired = {
        "init_args": {
            "dataset": inner,
            "pairing_table": str(pairing),
            "reports": reports,
            "split": "val",
        }
    }
    for method in ("unimodal", "clip_it", "text_only"):
        predictions = 1 - targets if method == "unimodal" else targets
        test = paired if method == "text_only" else inner
        backbone = None if method == "text_only" else {"init_args": {"model_name": "net"}}
        config = {
            "model": {"class_path": "HeadModule", "init_args": {"backbone": backbone}},
            "data": {"init_args": {"datasets": {"init_args": {"test": test}}}},
        }
        facts = {"config": config}
        write_run(method, targets, predictions, classes=2, filenames=names, provenance=facts)
    plain = write_report(write_run.folder, tmp_path / "plain", QUICK).read_text()
    assert "secret finding" not in plain
    assert "image/jpeg" not in plain
    shown = Options(n_resamples=1000, thumbnails=True, report_text=True)
    page = write_report(write_run.folder, tmp_path / "shown", shown).read_text()
    assert page.count("secret finding") == 8
    uris = re.findall(r"data:image/jpeg;base64,([^\"]+)", page)
    assert len(uris) == 8
    image = Image.open(io.BytesIO(base64.b64decode(uris[0])))
    assert image.size == (SIDE, SIDE // 2)
    (tmp_path / "reports.txt").unlink()
    with pytest.raises(InputError, match="--report-text: the reports of"):
        write_report(write_run.folder, tmp_path / "gone", shown)
