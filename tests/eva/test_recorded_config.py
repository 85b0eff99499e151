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
    assert CONFIG.part("model.lora").arguments == {"targets": ["Linear", "Conv2d"]}
    assert CONFIG.get("data.datasets.train.dataset.root") == "./bach"
    assert CONFIG.part("nothing.here").value is None
    assert CONFIG.part("data.datasets.train").class_name == "Paired"
    assert CONFIG.part("model.head").class_path == ""
    assert CONFIG.part("data.datasets.train").innermost.arguments == BACH["init_args"]
    assert CONFIG.backbone == "uni"
    assert RecordedConfig({"model": {"init_args": {"backbone": None}}}).backbone is None


def test_objects_are_found_by_their_class() -> None:
    for part in ("data.datasets.test", "data.datasets.train"):
        assert CONFIG.part(part).first("BACH").arguments == BACH["init_args"]
    assert CONFIG.part("data.datasets.test").first("CRC").value is None
    assert CONFIG.text("root") == "./bach"
    assert CONFIG.text("nowhere") is None


def test_images_stand_in_the_place_of_their_embeddings() -> None:
    backbone = {"model_name": "uni", "model_extra_kwargs": None}
    embedded = {"class_path": "x.EmbeddedBackbone", "init_args": {**backbone, "root": "e"}}
    dataset = {"class_path": "x.EmbeddedDataset", "init_args": {"dataset": BACH, "split": "val"}}
    config = RecordedConfig({"model": {"backbone": embedded}, "data": [dataset]}).of_images()
    assert config.get("data") == [BACH]
    assert config.part("model.backbone").class_name == "ModelFromRegistry"
    assert config.part("model.backbone").arguments == backbone


def test_leaves_do_not_depend_on_the_places_of_objects_in_lists() -> None:
    leaves = dict(CONFIG.leaves())
    assert leaves["trainer.callbacks.Stop.patience"] == 3
    assert leaves["trainer.callbacks.Log.class"] == "Log"
    assert leaves["trainer.callbacks.Summary"] == "c.Summary"
    assert leaves["model.lora.targets"] == ["Linear", "Conv2d"]
    assert leaves["data.datasets.train.dataset.split"] == "val"
    assert not any("init_args" in name for name in leaves)
