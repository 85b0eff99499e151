"""Looking into the configuration of a run."""

from clipit_eva.eva.recorded_config import RecordedConfig

BACH = {"class_path": "eva.vision.BACH", "init_args": {"root": "./bach", "split": "val"}}
CONFIG = RecordedConfig(
    {
        "trainer": {
            "class_path": "eva.Trainer",
            "init_args": {
                "max_steps": 5,
                "callbacks": [
                    {"class_path": "a.Stop", "init_args": {"patience": 3}},
                    {"class_path": "b.Log"},
                    "c.Summary",
                ],
            },
        },
        "model": {
            "class_path": "eva.HeadModule",
            "init_args": {
                "backbone": {"class_path": "eva.Model", "init_args": {"model_name": "uni"}},
                "lora": {"targets": ["Linear", "Conv2d"]},
            },
        },
        "data": {
            "class_path": "eva.DataModule",
            "init_args": {
                "datasets": {
                    "class_path": "eva.Schema",
                    "init_args": {
                        "train": {"class_path": "x.Paired", "init_args": {"dataset": BACH}},
                        "test": BACH,
                    },
                }
            },
        },
    }
)


def test_parts_are_found_with_and_without_classes() -> None:
    assert CONFIG.part("model", "lora") == {"targets": ["Linear", "Conv2d"]}
    assert CONFIG.part("data", "datasets", "train", "dataset", "root") == {}
    assert CONFIG.part("nothing", "here") == {}
    assert CONFIG.class_of("data", "datasets", "train") == "Paired"
    assert CONFIG.class_of("model", "head") == ""
    assert CONFIG.test == BACH["init_args"]
    assert CONFIG.backbone == "uni"
    assert RecordedConfig({"model": {"init_args": {"backbone": None}}}).backbone is None


def test_objects_are_found_by_their_class() -> None:
    for part in ("test", "train"):
        assert CONFIG.arguments_of("BACH", "data", "datasets", part) == BACH["init_args"]
    assert CONFIG.arguments_of("CRC", "data", "datasets", "test") == {}
    assert CONFIG.first("root") == "./bach"
    assert CONFIG.first("nowhere") is None


def test_leaves_do_not_depend_on_the_places_of_objects_in_lists() -> None:
    leaves = dict(CONFIG.leaves())
    assert leaves["trainer.callbacks.Stop.patience"] == 3
    assert leaves["trainer.callbacks.Log.class"] == "Log"
    assert leaves["trainer.callbacks.Summary"] == "c.Summary"
    assert leaves["model.lora.targets"] == ["Linear", "Conv2d"]
    assert leaves["data.datasets.train.dataset.split"] == "val"
    assert not any("init_args" in name for name in leaves)
