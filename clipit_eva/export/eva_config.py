"""The eva config that evaluates an exported classifier."""

import json
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
    trainer["callbacks"][0]["init_args"]["branch"] = about["branch"]
    model.update(file=str(file.resolve()), **_metrics(run))
    datasets = data["datasets"]
    known = {"classes": about["classes"], "transforms": run.transforms.value}
    datasets["predict"]["init_args"].update(known)
    for stage in ("val", "test"):
        if run.datasets.get(stage) is not None:
            datasets[stage] = _portable(run.datasets[stage])
    data["dataloaders"] = dict.fromkeys(datasets, data["dataloaders"])
    header = _HEADER.format(name=file.name, config=f"{file.name}.yaml")
    # Through JSON, so that what appears twice is written twice, not as an anchor to look up.
    return header + yaml.safe_dump(json.loads(json.dumps(content)), sort_keys=False)


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
    """Returns a run's metrics and postprocessing as arguments of a model.

    Functions of torch have their public names.
    """
    parts = {name: run.config.part(f"model.{name}") for name in ("metrics", "postprocess")}
    text = json.dumps({name: part.arguments for name, part in parts.items() if part.value})
    return json.loads(text.replace("torch._VariableFunctionsClass.", "torch."))
