"""What is kept of the arguments of an `eva` process."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import eva
import jsonargparse
import pytest
import torch
from eva.core.data.datamodules import DataModule
from eva.core.models.modules import ModelModule
from torch import nn

from clipit_eva.data import ImageFolder
from clipit_eva.eva import activation, recorder

CONFIG = """
trainer:
  class_path: eva.Trainer
  init_args:
    max_steps: 7
    default_root_dir: {folder}
    accelerator: cpu
    logger: false
model:
  class_path: clipit_eva.CLIPITModule
  init_args:
    backbone:
      class_path: torch.nn.Linear
      init_args: {{in_features: 4, out_features: 3}}
    in_features: 3
    num_classes: 2
    lora:
      rank: 5
      targets: [Linear, fc]
    optimizer:
      class_path: torch.optim.AdamW
      init_args: {{lr: 0.25}}
    reports:
      class_path: clipit_eva.pairing.ReportSource
      init_args:
        path: reports.csv
        clip_tokenizer: tokenizer.json
data:
  class_path: eva.DataModule
  init_args:
    datasets:
      predict:
        class_path: clipit_eva.data.ImageFolder
        init_args: {{root: images, classes: [a, b]}}
    dataloaders:
      predict: {{batch_size: 9}}
"""


def made(trainer: eva.Trainer, model: ModelModule, data: DataModule) -> None:
    """The signature of `eva fit`."""


@pytest.fixture
def instantiate(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Returns a function that makes what a config and arguments say, as `eva fit` does."""
    activation.activate()
    (tmp_path / "config.yaml").write_text(CONFIG.format(folder=tmp_path))

    def make(*arguments: str) -> Any:
        parser = jsonargparse.ArgumentParser(parser_mode="omegaconf")
        parser.add_argument("--config", action="config")
        parser.add_function_arguments(made)
        config = parser.parse_args([f"--config={tmp_path / 'config.yaml'}", *arguments])
        return parser.instantiate_classes(config)

    yield make
    recorder._config.clear()  # other tests of this process were not started by `eva`


def test_config_is_what_the_objects_were_made_with(instantiate: Any) -> None:
    instantiate()
    config = recorder.config_as_run()
    assert json.loads(json.dumps(config)) == config
    assert config["trainer"]["init_args"]["max_steps"] == 7
    model = config["model"]["init_args"]
    assert config["model"]["class_path"].endswith("CLIPITModule")
    assert model["backbone"]["class_path"].endswith("Linear")
    assert model["backbone"]["init_args"]["out_features"] == 3
    assert model["lora"]["init_args"]["rank"] == 5
    assert model["lora"]["init_args"]["targets"] == ["Linear", "fc"]
    assert model["reports"]["init_args"]["path"] == "reports.csv"
    assert model["reports"]["init_args"]["clip_tokenizer"] == "tokenizer.json"
    text = json.dumps(model["optimizer"])
    assert "AdamW" in text
    assert "0.25" in text
    data = json.dumps(config["data"])
    assert '"root": "images"' in data
    assert '"batch_size": 9' in data


def test_overrides_and_later_configs_count(instantiate: Any, tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text("trainer:\n  init_args:\n    max_epochs: 4\n")
    instantiate(f"--config={tmp_path / 'other.yaml'}", "--trainer.init_args.max_steps=2")
    arguments = recorder.config_as_run()["trainer"]["init_args"]
    assert arguments["max_steps"] == 2
    assert arguments["max_epochs"] == 4


def test_the_last_session_is_the_one_described(instantiate: Any) -> None:
    instantiate("--model.init_args.distill_weight=0.5")
    instantiate("--model.init_args.distill_weight=0.25")
    assert recorder.config_as_run()["model"]["init_args"]["distill_weight"] == 0.25


def test_secrets_are_left_out_and_numbers_called_tokens_are_not() -> None:
    described = recorder._describe(
        {
            "hf_token": "hf_secret",
            "nested": [{"AUTH_TOKEN": "secret"}],
            "tokens": ["a", "b"],
            "tokenizer": "name",
            "no_token": None,
            "reg_tokens": 4,
            "class_token": True,
        },
        "model_extra_kwargs",
    )
    assert described == {
        "hf_token": "***",
        "nested": [{"AUTH_TOKEN": "***"}],
        "tokens": ["***", "***"],
        "tokenizer": "name",
        "no_token": None,
        "reg_tokens": 4,
        "class_token": True,
    }


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (nn.Linear, "torch.nn.modules.linear.Linear"),
        (nn.Linear(1, 1), "torch.nn.modules.linear.Linear"),
        (torch.nn.functional.relu, "torch.nn.functional.relu"),
        ((1, "a"), [1, "a"]),
        ({1: 2.5}, {"1": 2.5}),
        (jsonargparse.Namespace(a=1), {"a": 1}),
    ],
)
def test_any_argument_can_be_described(value: Any, expected: Any) -> None:
    assert recorder._describe(value, "argument") == expected


def test_objects_made_elsewhere_are_named(tmp_path: Path) -> None:
    described = recorder._describe(ImageFolder(str(tmp_path), ["a"]), "dataset")
    assert described == "clipit_eva.data.image_folder.ImageFolder"
