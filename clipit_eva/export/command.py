"""From a run's folder to an exported classifier."""

import dataclasses
import os
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from clipit_eva import files, provenance
from clipit_eva.export import check, classifier_files
from clipit_eva.export.eva_config import render_config
from clipit_eva.export.fused_heads import describe_head
from clipit_eva.export.preprocessing import describe, image_size
from clipit_eva.export.run import FinishedRun, find_run
from clipit_eva.export.source import TrainedRun, load_run
from clipit_eva.export.timm_backbone import describe_backbone, unwrap


@dataclasses.dataclass(frozen=True)
class Exported:
    """What `export_run` wrote: a classifier, the eva config that evaluates it, its head's layers.

    `difference` is the largest of logits that the check found on `images`; None without a check.
    """

    file: Path
    config: Path
    head: list[list[str | int | float]]
    difference: float | None
    images: list[str]


def export_run(
    path: str | os.PathLike[str],
    output: str | os.PathLike[str],
    branch: str = "fused",
    checked: bool = True,
) -> Exported:
    """Writes a trained run as one plain vision classifier, and an eva config beside it.

    LoRA is merged in float32 and the heads are fused. The file holds no text weights;
    its metadata tells timm's arguments, the head's layers, preprocessing, class names and origin.

    Args:
        path: The folder of a CLIP-IT or unimodal run, or one above it that holds no other.
        output: The file: `.safetensors` for timm and PyTorch, `.onnx` with a free batch size. The
            eva config gets the same name and `.yaml`.
        branch: Both together (`fused`, the prediction) or `vision`, all that a unimodal run has.
        checked: Whether the written file is read again and compared with the trained module, on
            random images and, where the run's data is still there, on real ones.

    Raises:
        InputError: A mistake in the arguments, a run that cannot be exported, or a file that does
            not say what the run says; then no file is left.
    """
    output = Path(output)
    classifier_files.check_format(output)
    run = find_run(Path(path))
    about = {"preprocessing": describe(run.transforms), "classes": run.classes}
    trained = load_run(run, branch)
    model, override = unwrap(trained.backbone)
    batches, names = _check_batches(run, trained, about) if checked else ([], [])
    expected = [trained.logits(images) for images in batches]
    plain, head = trained.plain()
    model, _ = unwrap(plain)
    about = {
        "backbone": describe_backbone(model) | override,
        "head": describe_head(head),
        **about,
        "branch": trained.branch,
        "criterion": _criterion(run, head),
        "provenance": _origin(run, checked),
    }
    classifier = nn.Sequential(OrderedDict(backbone=model, head=head))
    config = output.with_name(f"{output.name}.yaml")
    difference = None
    with files.atomic_path(config) as text, files.atomic_path(output) as temporary:
        text.write_text(render_config(run, about, output))
        classifier_files.write_classifier(classifier, about, temporary)
        if checked:
            again, _ = classifier_files.load_classifier(temporary)
            difference = check.compare(again, batches, expected)
    return Exported(output, config, describe_head(head), difference, names)


def render(exported: Exported) -> str:
    """Returns what to tell the user about an export."""
    head = " -> ".join(" ".join(map(str, layer)) for layer in exported.head)
    lines = [f"Classifier: {exported.file} (head: {head})", f"eva config: {exported.config}"]
    if exported.difference is None:
        lines.append("Not checked against the trained module.")
    else:
        lines.append(
            f"Checked on {' and '.join(exported.images)}: logits differ by at most "
            f"{exported.difference:.1e} (allowed: {check.TOLERANCE:.0e})."
        )
    return "\n".join(lines)


def _check_batches(
    run: FinishedRun, trained: TrainedRun, about: dict[str, Any]
) -> tuple[list[torch.Tensor], list[str]]:
    """Returns the images that the check compares on, and what they are."""
    random = check.random_images(image_size(about["preprocessing"]))
    real = check.real_images(run)
    if real is None:
        return [random], [f"{len(random)} random images (the run's data is not there)"]
    images, indices = real
    check.check_run(run, trained.branch, indices, trained.logits(images))
    return [random, images], [f"{len(random)} random images", f"{len(images)} test images"]


def _criterion(run: FinishedRun, head: nn.Sequential) -> str:
    """Returns the name of the loss that a run was evaluated with; plain, if it has no name."""
    recorded = run.config.get("model.criterion")
    single = head[-1].out_features == 1
    plain = "binary_cross_entropy" if single else "cross_entropy"
    return recorded if isinstance(recorded, str) else plain


def _origin(run: FinishedRun, checked: bool) -> dict[str, Any]:
    """Returns where an exported classifier comes from; no local paths, no text."""
    model = run.config.part("model")
    kept = ("criterion", "distill_weight", "word_dropout", "lora", "vision_head_lora")
    return {
        "kind": "exported classifier",
        "model": model.class_path,
        "backbone": run.config.backbone,
        "settings": {name: model.get(name) for name in kept if name in model.arguments},
        "seed": run.provenance["seed"],
        "checkpoint": run.provenance["checkpoint"],
        "inputs": run.provenance["inputs"],
        "checked": checked,
        "trained_with": run.provenance["versions"],
        "exported_with": provenance.versions(),
        "git_revision": run.provenance["git_revision"],
    }
