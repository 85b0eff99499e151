"""The eva config that evaluates an exported classifier."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from clipit_eva.eva.recorded_config import RecordedConfig
from clipit_eva.export.run import FinishedRun
from clipit_eva.tasks.configs import as_argument

_HEADER = """\
# Written by `clipit-eva export`: evaluates {name} as its run was evaluated.
#   DATA_ROOT=FOLDER eva predict --config {config}   (predictions of a folder of images)
#   eva test --config {config}                       (the run's test set; eva validate: its val set)
---
"""

_LOADER = {
    "batch_size": "${oc.env:BATCH_SIZE, 64}",
    "num_workers": "${oc.env:N_DATA_WORKERS, 4}",
    "persistent_workers": "${oc.env:PERSISTENT_WORKERS, true}",
    "prefetch_factor": "${oc.env:PREFETCH_FACTOR, 2}",
}


def render_config(run: FinishedRun, about: Mapping[str, Any], file: Path) -> str:
    """Returns the text of an eva config for `eva predict`, `eva validate` and `eva test`.

    It takes over the run's datasets and metrics; `about` is the metadata of the classifier's file.
    """
    datasets = {"predict": _image_folder(run, about)}
    for stage in ("val", "test"):
        if run.datasets.get(stage) is not None:
            datasets[stage] = _portable(run.datasets[stage])
    content = {
        "trainer": {"class_path": "eva.Trainer", "init_args": _trainer(file, about["branch"])},
        "model": {
            "class_path": "clipit_eva.export.ExportedModule",
            "init_args": {"file": str(file.resolve()), **_metrics(run)},
        },
        "data": {
            "class_path": "eva.DataModule",
            "init_args": {
                "datasets": datasets,
                "dataloaders": dict.fromkeys(datasets, _LOADER),
            },
        },
    }
    header = _HEADER.format(name=file.name, config=f"{file.name}.yaml")
    return header + yaml.dump(content, Dumper=_PlainDumper, sort_keys=False)


class _PlainDumper(yaml.SafeDumper):
    """Writes what appears twice twice, not as an anchor that a reader has to look up."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _trainer(file: Path, branch: str) -> dict[str, Any]:
    """Returns the trainer's arguments."""
    return {
        "default_root_dir": f"${{oc.env:OUTPUT_ROOT, {as_argument(f'logs/exported/{file.stem}')}}}",
        "accelerator": "${oc.env:ACCELERATOR, auto}",
        "devices": "${oc.env:NUM_DEVICES, 1}",
        # "best" would ask for a checkpoint of this trainer, which trains nothing.
        "checkpoint_type": "last",
        "logger": False,
        "callbacks": [
            {
                "class_path": "lightning.pytorch.callbacks.TQDMProgressBar",
                "init_args": {"refresh_rate": "${oc.env:TQDM_REFRESH_RATE, 1}"},
            },
            {
                "class_path": "clipit_eva.predictions.PredictionsWriter",
                "init_args": {"branch": branch},
            },
        ],
    }


def _image_folder(run: FinishedRun, about: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the dataset of a folder of images, preprocessed as the run's."""
    dataset = run.datasets.get("test") or run.datasets["val"]
    return {
        "class_path": "clipit_eva.data.ImageFolder",
        "init_args": {
            "root": "${oc.env:DATA_ROOT, './data/images'}",
            "classes": about["classes"],
            "transforms": RecordedConfig(dataset).innermost.get("transforms"),
        },
    }


def _portable(dataset: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a recorded dataset whose root and download follow the environment."""
    arguments = dict(dataset["init_args"])
    if "dataset" in arguments:
        arguments["dataset"] = _portable(arguments["dataset"])
    if "root" in arguments:
        arguments["root"] = f"${{oc.env:DATA_ROOT, {as_argument(arguments['root'])}}}"
    if "download" in arguments:
        arguments["download"] = "${oc.env:DOWNLOAD_DATA, false}"
    return {**dataset, "init_args": arguments}


def _metrics(run: FinishedRun) -> dict[str, Any]:
    """Returns a run's metrics and postprocessing as arguments of a model."""
    parts = {name: run.config.part(f"model.{name}") for name in ("metrics", "postprocess")}
    return {name: _spell(part.arguments) for name, part in parts.items() if part.value}


def _spell(value: Any) -> Any:
    """Returns a recorded value with functions of torch under their public names."""
    if isinstance(value, Mapping):
        return {name: _spell(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_spell(item) for item in value]
    return (
        value.replace("torch._VariableFunctionsClass.", "torch.")
        if isinstance(value, str)
        else value
    )
