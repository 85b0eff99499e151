"""The eva config that evaluates an exported classifier."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from clipit_eva.export.run import FinishedRun
from clipit_eva.tasks.configs import as_argument

_HEADER = """\
# Written by `clipit-eva export`: evaluates {name} as its run was evaluated.
#   DATA_ROOT=FOLDER eva predict --config {config}   (predictions of a folder of images)
#   eva test --config {config}                       (the run's test set; eva validate: its val set)
---
"""

_TEMPLATE = Path(__file__).with_name("exported.yaml")


def render_config(run: FinishedRun, about: Mapping[str, Any], file: Path) -> str:
    """Returns the text of an eva config for `eva predict`, `eva validate` and `eva test`.

    It takes over the run's datasets and metrics; `about` is the metadata of the classifier's file.
    """
    content = yaml.safe_load(_TEMPLATE.read_text())
    trainer, model, data = (content[role]["init_args"] for role in ("trainer", "model", "data"))
    output = as_argument(f"logs/exported/{file.stem}")
    trainer["default_root_dir"] = f"${{oc.env:OUTPUT_ROOT, {output}}}"
    trainer["callbacks"][-1]["init_args"]["branch"] = about["branch"]
    model.update(file=str(file.resolve()), **_metrics(run))
    datasets = data["datasets"]
    datasets["predict"]["init_args"].update(
        classes=about["classes"], transforms=run.transforms.value
    )
    for stage in ("val", "test"):
        if run.datasets.get(stage) is not None:
            datasets[stage] = _portable(run.datasets[stage])
    data["dataloaders"] = dict.fromkeys(datasets, data["dataloaders"])
    header = _HEADER.format(name=file.name, config=f"{file.name}.yaml")
    return header + yaml.dump(content, Dumper=_PlainDumper, sort_keys=False)


class _PlainDumper(yaml.SafeDumper):
    """Writes what appears twice twice, not as an anchor that a reader has to look up."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


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
    if isinstance(value, str):
        return value.replace("torch._VariableFunctionsClass.", "torch.")
    return value
