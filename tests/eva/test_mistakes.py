"""What is told of a user's mistake that eva or its libraries met."""

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from eva.core.models.wrappers import BaseModel
from eva.vision.data.datasets import BACH, CRC, MHIST, PatchCamelyon
from eva.vision.models import ModelFromRegistry
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch import nn

from clipit_eva.errors import InputError
from clipit_eva.eva import activation, mistakes


def told(act: Callable[[], Any]) -> str | None:
    """Returns what is told of the error that an action ends with."""
    try:
        act()
    except Exception as error:
        return mistakes.explain(error, error.__traceback__)
    raise AssertionError("nothing was raised")


def set_up(dataset: Any) -> None:
    dataset.prepare_data()
    dataset.setup()


@pytest.mark.parametrize("dataset", [BACH, CRC, PatchCamelyon, MHIST])
def test_a_root_that_is_not_there_is_named(tmp_path: Path, dataset: Any) -> None:
    root = tmp_path / "nowhere"
    line = told(lambda: set_up(dataset(str(root), split="train")))
    assert line is not None
    assert str(root) in line
    assert line.startswith("DATA_ROOT=")
    assert "\n" not in line


def test_a_class_without_images_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "NCT-CRC-HE-100K"
    for kind in ("ADI", "DEB", "LYM", "MUC", "MUS", "NORM", "STR", "TUM"):
        (folder / kind).mkdir(parents=True)
        (folder / kind / "a.tif").touch()
    line = told(lambda: set_up(CRC(str(tmp_path), split="train")))
    assert line is not None
    assert "BACK" in line


def test_a_file_still_packed_is_named(tmp_path: Path) -> None:
    (tmp_path / "camelyonpatch_level_2_split_train_y.h5.gz").write_bytes(b"\x1f\x8b")
    line = told(lambda: set_up(PatchCamelyon(str(tmp_path), split="train")))
    assert line is not None
    assert "camelyonpatch_level_2_split_train_y.h5" in line


@pytest.mark.parametrize("size", [(100, 96), (96, 100)])
def test_a_size_that_patches_do_not_divide_is_named(size: tuple[int, int]) -> None:
    activation.register_backbones()
    backbone = ModelFromRegistry("clipit_eva/demo_vit")
    line = told(lambda: nn.Sequential(backbone)(torch.zeros(1, 3, *size)))
    assert line is not None
    assert line.startswith("RESIZE_DIM")
    assert f"{size[0]} x {size[1]}" in line


def test_the_gpus_memory_is_named() -> None:
    line = mistakes.explain(torch.OutOfMemoryError("CUDA out of memory. Tried ..."), None)
    assert line is not None
    assert "BATCH_SIZE" in line


def test_an_error_of_the_program_keeps_its_traceback() -> None:
    class Own(BaseModel):
        def load_model(self) -> Any:
            return None

        def model_forward(self, tensor: torch.Tensor) -> torch.Tensor:
            raise ValueError("patch size: a bug of this class")

    class Data(BACH):
        def configure(self) -> None:
            raise ValueError("a bug of this class")

    assert told(lambda: Own()(torch.zeros(1))) is None
    assert told(lambda: Data("x", split="train").configure()) is None
    assert told(lambda: [][1]) is None


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (ValueError("Please provide a HuggingFace token to download the model."), "HF_TOKEN"),
        (OSError("401 Client Error.\nCannot access gated repo"), "HF_TOKEN"),
        (ValueError("Invalid model name: patology/x."), "MODEL_NAME"),
        (OSError("We couldn't connect to the hub"), "in reach"),
    ],
)
def test_a_backbone_that_cannot_be_made_is_named(error: Exception, advice: str) -> None:
    name = {"model_name": "pathology/x"}
    line = mistakes.explain_construction(ModelFromRegistry, name, error)
    assert line is not None
    assert line.startswith("MODEL_NAME=pathology/x")
    assert advice in line
    assert "\n" not in line
    assert mistakes.explain_construction(nn.Linear, name, error) is None


@pytest.mark.parametrize(
    ("message", "line"),
    [
        (
            """Parser key "model":
  Problem with given class_path 'clipit_eva.CLIPITModule':
    Parser key "lora.rank":
      Expected a <class 'int'>. Got value: x""",
            "lora.rank: Expected a <class 'int'>. Got value: x;",
        ),
        (
            """Parser key "model":
  Problem with given class_path 'clipit_eva.CLIPITModule':
    unrecognized arguments: --lora.rnak=4""",
            "unrecognized arguments: --lora.rnak=4;",
        ),
        (
            """Parser key "datasets":
  Expected a <class 'NoneType'>
    Option 'topk' is not accepted""",
            "Option 'topk' is not accepted;",
        ),
        ("Problems parsing\nconfig", "Problems parsing config;"),
    ],
)
def test_the_parsers_many_lines_become_one(message: str, line: str) -> None:
    told = mistakes.explain_parsing(message)
    assert told.startswith(line)
    assert "\n" not in told


def test_what_lightning_refuses_is_told() -> None:
    error = MisconfigurationException("No accelerator\nsecond line")
    assert mistakes.explain(error, None) == (
        "Lightning refuses the configuration: No accelerator; mend it"
    )
    stopped = RuntimeError("Early stopping conditioned on metric `x` which is not available.")
    assert (mistakes.explain(stopped, None) or "").startswith("MONITOR_METRIC")


def test_arguments_that_eva_would_drop_are_named() -> None:
    name = "universal/vit_tiny_patch16_224_random"
    arguments = {"model_name": name, "model_extra_kwargs": {"drop_path_rate": 0.1}}
    with pytest.raises(InputError, match="_random does not take drop_path_rate"):
        mistakes.check_construction(ModelFromRegistry, arguments)
    arguments["model_extra_kwargs"] = {"dynamic_img_size": False}
    mistakes.check_construction(ModelFromRegistry, arguments)
    mistakes.check_construction(ModelFromRegistry, {"model_name": name})
    mistakes.check_construction(nn.Linear, arguments)


def test_a_full_disk_names_the_file_that_was_open(tmp_path: Path) -> None:
    def write() -> None:
        with (tmp_path / "results.json").open("w") as file:
            file.write("{")
            raise OSError(errno.ENOSPC, "No space left on device")

    assert told(write) == (
        f"{tmp_path / 'results.json'} cannot be written: no space left on device; free some space"
    )


def test_a_full_disk_without_an_open_file_names_the_output(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTPUT_ROOT", "runs")

    def write() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    line = told(write)
    assert line is not None
    assert line.startswith("a file of OUTPUT_ROOT=runs cannot be written")
