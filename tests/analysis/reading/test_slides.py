import numpy as np
import pytest

from clipit_eva.analysis.reading.runs import read_runs
from clipit_eva.analysis.reading.study import gather
from clipit_eva.errors import InputError

TARGETS = np.arange(8) % 2
META = "camelyonpatch_level_2_split_{}_meta.csv"


def pcam(write_run, root, split="test"):
    dataset = {"class_path": "eva.PatchCamelyon", "init_args": {"root": str(root), "split": split}}
    data = {"init_args": {"datasets": {"init_args": {"test": {"init_args": {"dataset": dataset}}}}}}
    options = {"dataset": "PatchCamelyon", "classes": 2}
    model = {"class_path": "eva.HeadModule", "init_args": {}}
    facts = {"config": {"model": model, "data": data}}
    return write_run("unimodal", TARGETS, TARGETS, provenance=facts, **options)


def slides(write_run):
    return gather(read_runs(write_run.folder))[0].clusters


@pytest.mark.parametrize(("split", "name"), [("test", "test"), ("val", "valid")])
@pytest.mark.parametrize("beside", [False, True])
def test_slides_come_from_the_meta_file(write_run, tmp_path, split, name, beside):
    root = tmp_path / "data" / "pcam"
    root.mkdir(parents=True)
    folder = root.parent if beside else root
    rows = "\n".join(f"{i},camelyon16_{i // 3}" for i in range(8))
    (folder / META.format(name)).write_text(f"index,wsi\n{rows}\n")
    pcam(write_run, root, split)
    np.testing.assert_array_equal(slides(write_run), [0, 0, 0, 1, 1, 1, 2, 2])


def test_a_relative_root_is_found_from_above_the_run(write_run, tmp_path):
    (tmp_path / "data").mkdir()
    rows = "\n".join(f"s{i % 4}" for i in range(8))
    (tmp_path / "data" / META.format("test")).write_text(f"wsi\n{rows}\n")
    pcam(write_run, "data")
    assert slides(write_run).tolist() == [0, 1, 2, 3] * 2


def test_without_the_file_slides_are_unknown(write_run, tmp_path):
    pcam(write_run, tmp_path)
    assert slides(write_run) is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("index\n0\n", "lacks column 'wsi'"),
        ("wsi\na\n", "has 1 rows, but"),
        ("index,wsi\n" + "0,\n" * 8, "names no slide for 8 samples"),
    ],
)
def test_a_wrong_meta_file_is_refused(write_run, tmp_path, content, message):
    (tmp_path / META.format("test")).write_text(content)
    pcam(write_run, tmp_path)
    with pytest.raises(InputError, match=message):
        slides(write_run)


def grouped(write_run, tmp_path, content):
    path = tmp_path / "groups.csv"
    path.write_text(content)
    return gather(read_runs(write_run.folder), path)[0].clusters


def test_the_predictions_table_tells_groups_that_the_dataset_knew(write_run, tmp_path):
    write_run("unimodal", TARGETS, TARGETS, groups=list("bbaaccaa"))
    np.testing.assert_array_equal(slides(write_run), [0, 0, 1, 1, 2, 2, 1, 1])
    rows = "".join(f"class/{place}.tif,p{place % 2}\n" for place in range(8))
    np.testing.assert_array_equal(grouped(write_run, tmp_path, f"filename,group\n{rows}"), TARGETS)


def test_a_table_that_lacks_a_group_tells_none(write_run):
    write_run("unimodal", TARGETS, TARGETS, groups=[*"bbaacca", None])
    assert slides(write_run) is None


def test_datasets_of_one_class_are_told_by_their_titles(write_run):
    for title in ("Lung", "Colon"):
        facts = [{"class": "clipit_eva.LabelledImages", "title": title, "classes": ["a", "b"]}]
        names = [f"{title}/{place}.tif" for place in range(8)]
        write_run("unimodal", TARGETS, TARGETS, name=title, filenames=names, classes=2,
                  provenance={"datasets": facts})  # fmt: skip
    assert [one.dataset for one in gather(read_runs(write_run.folder))] == ["Colon", "Lung"]


@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_a_file_of_groups_counts_before_the_meta_file(write_run, tmp_path, start):
    (tmp_path / META.format("test")).write_text("wsi\n" + "same\n" * 8)
    pcam(write_run, tmp_path)
    rows = [f"class/{place}.tif,0{place // 2},x" for place in reversed(range(8))]
    content = "\n".join([f"{start}filename,group,further", *rows, "elsewhere.tif,09,x"])
    found = grouped(write_run, tmp_path, content)
    np.testing.assert_array_equal(found[::2], found[1::2])
    assert len(set(found)) == 4


def test_a_file_of_groups_leaves_other_datasets_as_they_are(write_run, tmp_path):
    pcam(write_run, tmp_path)
    names = [f"other/{place}.tif" for place in range(8)]
    write_run("unimodal", TARGETS, TARGETS, filenames=names)
    path = tmp_path / "groups.csv"
    path.write_text("filename,group\n" + "".join(f"{n},p{i % 4}\n" for i, n in enumerate(names)))
    found = {one.dataset: one.n_slides for one in gather(read_runs(write_run.folder), path)}
    assert found == {"PCAM": None, "BACH": 4}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("name,group\na,1\n", "lacks column 'filename'"),
        ("filename,patient\na,1\n", "lacks column 'group'"),
        ("filename,group\nclass/0.tif,\n", "has no group in line 2"),
        ("filename,group\nclass/0.tif,1\nclass/0.tif,2\n", "two groups for class/0.tif"),
        ("filename,group\nclass/0.tif,1\n", "no group for 7 test images of PatchCamelyon, such as"),
        ("filename,group\n0.tif,1\n", "names no test image; .* such as class/0.tif"),
        ("", "is no readable CSV"),
    ],
)
def test_a_wrong_file_of_groups_is_refused(write_run, tmp_path, content, message):
    pcam(write_run, tmp_path)
    with pytest.raises(InputError, match=message):
        grouped(write_run, tmp_path, content)
