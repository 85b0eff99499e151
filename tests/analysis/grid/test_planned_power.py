import re

import h5py
import numpy as np
import pytest

from clipit_eva.analysis.grid.planned_power import Sizes, power
from clipit_eva.cli import main
from clipit_eva.errors import InputError

PLAN = """
seeds: {seeds}
tasks: {{{task}: {{DATA_ROOT: {root}}}}}
backbones: {{uni: {{MODEL_NAME: pathology/mahmood_uni, IN_FEATURES: 1024}}}}
methods: {{unimodal: {{}}, clip_it: {{}}}}
"""


@pytest.fixture
def plan(tmp_path):
    def write(task="bach", root="/nowhere", seeds=(1, 2, 3)):
        path = tmp_path / "plan.yaml"
        path.write_text(PLAN.format(task=task, root=root, seeds=list(seeds)))
        return str(path)

    return write


def test_bachs_test_set_and_one_backbone(plan, capsys):
    assert main(["power", plan(), "--test-size", "132"]) == 0
    printed = capsys.readouterr().out
    (row,) = [line for line in printed.splitlines() if line.startswith("bach ")]
    three, holm, five, ten, wall = map(float, row.split()[-5:])
    assert (three, five, ten) == pytest.approx((9.5, 7, 5.8), rel=0.05)
    assert wall < ten < five < three < holm
    for assumption in ("85% of the answers", "2.2 points (SD) over seeds", "equally frequent"):
        assert assumption in printed


def test_two_seeds_are_not_tested(plan):
    assert "not tested" in power(plan(seeds=(1, 2)), Sizes(132))


def photos(root):
    """Files of BACH's names; nothing reads them."""
    folder = root / "ICIAR2018_BACH_Challenge" / "Photos"
    for name, letters in {"Benign": "b", "InSitu": "is", "Invasive": "iv", "Normal": "n"}.items():
        (folder / name).mkdir(parents=True)
        for number in range(1, 101):
            (folder / name / f"{letters}{number:03}.tif").touch()


def test_sizes_are_read_from_the_dataset(plan, tmp_path):
    photos(tmp_path)
    assert power(plan(root=tmp_path), Sizes()) == power(plan(), Sizes(132))


def test_slides_are_read_from_beside_patch_camelyon(plan, tmp_path):
    targets = np.arange(32_768).reshape(-1, 1, 1, 1) % 2
    with h5py.File(tmp_path / "camelyonpatch_level_2_split_test_y.h5", "w") as file:
        file["y"] = targets.astype(np.uint8)
    slides = "\n".join(f"slide{place % 96}" for place in range(32_768))
    (tmp_path / "camelyonpatch_level_2_split_test_meta.csv").write_text(f"wsi\n{slides}\n")
    own = power(plan("patch_camelyon", tmp_path), Sizes())
    assert own == power(plan("patch_camelyon"), Sizes(32_768, slides=96))
    assert own != power(plan("patch_camelyon"), Sizes(32_768))


def test_groups_of_ones_own_images_count_as_slides(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "mine.yaml").write_text(
        "title: Mine\ndataset: clipit_eva.data.LabelledImages\narguments: {index: index.csv}\n"
        "splits: {train: train, val: val, test: test}\nclasses: [a, b]\n"
        "metric: val/MulticlassAccuracy\npatience: 5\n"
    )
    rows = [f"{n}.png,{'ab'[n % 2]},p{n // 20}" for n in range(1000)]
    (tmp_path / "index.csv").write_text("\n".join(["filename,label,group", *rows]))
    for n in range(1000):
        (tmp_path / f"{n}.png").touch()

    plan = PLAN.format(task="mine", root=f"{tmp_path}, file: mine.yaml", seeds=[1, 2, 3])
    (tmp_path / "plan.yaml").write_text(plan)
    assert re.search(r"mine +200 +2 +10 ", power(str(tmp_path / "plan.yaml"), Sizes()))


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        (Sizes(), "task bach: DATA_ROOT=/nowhere does not exist; give --test-size, or its data"),
        (Sizes(0), "--test-size 0 must be at least 1"),
        (Sizes(132, slides=0), "--slides 0 must be at least 1"),
        (Sizes(7), "task bach: 7 test samples are too few"),
        (Sizes(132, slides=3), "task bach: 3 slides: too few"),
    ],
)
def test_what_cannot_be_is_refused(plan, sizes, message):
    with pytest.raises(InputError, match=re.escape(message)):
        power(plan(), sizes)


def test_a_task_without_data_does_not_silence_the_rest(tmp_path, monkeypatch):
    monkeypatch.setenv("BACH_ROOT", str(tmp_path))
    photos(tmp_path)
    told = power("ablations/table1", Sizes())
    assert told.count("Not told of task ") == 2
    assert re.search(r"bach +132 +4 +unknown", told)
    assert "mean over the plan's backbones (6)" in told


def test_a_folder_of_something_else_is_refused(plan, tmp_path):
    with pytest.raises(InputError, match=r"cannot be read .*; give --test-size, or its data"):
        power(plan(root=tmp_path), Sizes())


def test_sizes_of_several_tasks_and_drawn_images_are_refused():
    with pytest.raises(InputError, match="sizes are given of one"):
        power("ablations/table1", Sizes(132))
    with pytest.raises(InputError, match="drawn by the plan; give --test-size"):
        power("ablations/demo", Sizes())
