import numpy as np
import pandas as pd
import pytest

from clipit_eva.analysis.frames.alignment_frame import alignment_frame
from clipit_eva.analysis.reading.runs import read_runs
from clipit_eva.analysis.reading.study import gather
from clipit_eva.analysis.report import Options, write_report
from clipit_eva.errors import InputError
from clipit_eva.models.alignment_table import write_alignment

TARGETS = np.arange(12) % 4


def write_table(run, shift: float = 0.0):
    """Writes an alignment table into a run's folder; returns its rows."""
    values = np.linspace(0, 0.5, 8, dtype=np.float32) + np.float32(shift)
    rows = pd.DataFrame(
        {
            "index": np.arange(8),
            "filename": [f"{place}.tif" for place in range(8)],
            "cosine_before": values,
            "cosine_after": values + np.float32(0.4),
            "distance_before": values + 2,
            "distance_after": values + 1,
        }
    )
    write_alignment(rows, run.parent / "alignment.parquet", {})
    return rows


@pytest.fixture
def folder(write_run):
    """Two seeds of CLIP-IT, of which one has a table; its ablation has one, too."""
    for seed in (1, 2):
        write_run("clip_it", TARGETS, TARGETS, seed=seed)
        write_run("unimodal", TARGETS, TARGETS, seed=seed)
        run = write_run("clip_it", TARGETS, TARGETS, seed=seed, word_dropout=0.3, name=f"w{seed}")
        write_table(run, 0.3)
    write_table(next((write_run.folder).glob("*clip_it_2/run_0/predictions.parquet")))
    return write_run.folder


def test_tables_of_full_clip_it_are_read_from_the_runs_folders(folder):
    frame = alignment_frame(gather(read_runs(folder)))
    assert len(frame) == 8
    assert set(frame["replicate"]) == {"seed 2"}
    assert frame["cosine_before"].max() == pytest.approx(0.5)
    np.testing.assert_allclose(frame["cosine_after"] - frame["cosine_before"], 0.4, rtol=1e-5)


def test_the_report_draws_them_if_there_are_any(folder, tmp_path):
    page = write_report(folder, tmp_path / "with", Options(n_resamples=1000))
    assert 'id="figure-alignment"' in page.read_text()
    assert (page.parent / "figures" / "alignment.svg").is_file()
    for path in folder.rglob("alignment.parquet"):
        path.unlink()
    page = write_report(folder, tmp_path / "without", Options(n_resamples=1000))
    assert 'id="figure-alignment"' not in page.read_text()
    assert alignment_frame(gather(read_runs(folder))).empty


def test_a_damaged_table_is_refused_by_name(folder):
    (path,) = (p for p in folder.rglob("alignment.parquet") if "clip_it_2" in str(p))
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputError, match=r"alignment table .*alignment\.parquet is not a readable"):
        alignment_frame(gather(read_runs(folder)))
