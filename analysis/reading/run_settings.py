"""What of a run's configuration has an effect on its results: the settings that arms differ in."""

from collections.abc import Iterator, Mapping
from typing import Any

from clipit_eva.eva.recorded_config import RecordedConfig
from clipit_eva.pairing.controls import CONTROLS
from clipit_eva.tasks.card import PROMPTS

UNIMODAL, TEXT_ONLY, CLIP_IT = "unimodal", "text_only", "clip_it"
AUTHORS = "clip_it_authors"
"""CLIP-IT by the authors' recipe: known by its selection, in which text takes part."""

METHOD_OF_BRANCH = {"vision": UNIMODAL, "text": TEXT_ONLY, "fused": CLIP_IT}
"""Method of a run, by the branch that its prediction rests on."""

BRANCH_OF_METHOD = {
    **{method: branch for branch, method in METHOD_OF_BRANCH.items()},
    AUTHORS: "fused",
}

NO_EFFECT = frozenset(
    {
        # Places.
        "root", "default_root_dir", "save_dir", "dirpath", "output_file", "cache_dir",
        "embeddings_root", "pairing_table", "filename", "path", "column", "clip_checkpoint",
        "clip_tokenizer", "patients",
        # How fast, and on what.
        "num_workers", "persistent_workers", "prefetch_factor", "pin_memory", "accelerator",
        "devices", "num_nodes", "strategy", "gradient_checkpointing", "fused", "foreach",
        "download", "n_runs",
        # What is shown and kept.
        "verbose", "refresh_rate", "save_last", "log_every_n_steps", "enable_progress_bar",
    }
)  # fmt: skip
"""Names of arguments that change no result; what paths hold is told by digests."""

_NO_EFFECT_BELOW = (
    "trainer.logger", "model.metrics", "model.postprocess", "model.backbone.class",
    "model.backbone.model_name", "data.dataloaders.val", "data.dataloaders.test",
    "data.dataloaders.predict", "data.datasets.predict", "data.datasets.train.distill_weight",
    "data.class", "data.datasets.class", "data.dataloaders.class", "trainer.class",
    "model.lora.class", "reports.class", "reports.preparation.class",
    "data.datasets.val.reports", "data.datasets.val.top_k", "data.datasets.test.reports",
    "data.datasets.test.top_k", "data.datasets.val.distill_weight",
)  # fmt: skip
"""Parts that change no result, or that tell backbones or datasets apart rather than arms."""

_SILENT_CALLBACKS = (
    "ConfigurationLogger", "TQDMProgressBar", "RichProgressBar", "LearningRateMonitor",
    "RichModelSummary", "ModelSummary", "PredictionsWriter", "AlignmentWriter",
)  # fmt: skip

OF_TEXT = ("reports.", "pairing.", "top_k", "model.word_dropout", "model.text_gradient",
           "model.lora.text", "model.distillation", "labels.unlabelled")  # fmt: skip
"""Beginnings of the names of settings of the text."""

_OF_LORA = ("model.lora.rank", "model.lora.alpha", "model.lora.dropout", "model.lora.targets")

LABELS_PER_CLASS = "labels.per_class"
"""The setting that tells comparisons rather than arms: all arms see the same labels."""

_OF_LABELS = {
    "per_class": "labels_per_class",
    "seed": "labels_seed",
    "unlabelled": "unlabelled",
}

_CROSS_ENTROPIES = ("cross_entropy", "binary_cross_entropy")
"""The default criterion of multiclass and binary tasks: one setting."""

Settings = Mapping[str, Any]
"""Values that can be compared, by dotted name."""


def method_of(config: RecordedConfig, branch: str) -> str:
    """Returns a run's method, by the branch that its prediction rests on.

    A vision model of another class than eva's probe is a method of its own.
    """
    method = METHOD_OF_BRANCH[branch]
    if method == CLIP_IT and config.get("model.validation_distillation"):
        return AUTHORS
    own = config.part("model").class_name
    return own if method == UNIMODAL and own not in ("HeadModule", "") else method


def settings_of(
    config: RecordedConfig, branch: str, pairing: Mapping[str, Any] | None = None
) -> Settings:
    """Returns the settings of a run that have an effect, by dotted name.

    Runs on embeddings have the settings of those on images. Settings without effect beside
    others are left out: those of text where none is read, LoRA's where there is none.

    Args:
        config: The run's configuration.
        branch: The branch that its prediction rests on.
        pairing: Provenance of the run's pairing table, if known.
    """
    pairing = pairing or {}
    found = {key: _plain(value) for key, value in _renamed(config.of_images()).leaves()}
    settings = {key: value for key, value in found.items() if value is not None and _matters(key)}
    if branch == "fused" and settings.get("model.criterion", "cross_entropy") in _CROSS_ENTROPIES:
        settings["model.criterion"] = "cross_entropy"
    settings["model.vision_head_checkpoint"] = "model.vision_head_checkpoint" in settings
    if branch != "vision":
        of_pairs = _of_pairs(config, pairing)
        settings |= {key: value for key, value in of_pairs if value is not None}
    return {key: value for key, value in settings.items() if not key.startswith(idle(settings))}


def idle(settings: Settings) -> tuple[str, ...]:
    """Returns the beginnings of the names of settings that have no effect beside the others."""
    without_text = settings.get("model.distill_weight") == 0
    lora = settings.get("model.lora.vision") is not False or (
        settings.get("model.lora.text", False) and not without_text
    )
    return (OF_TEXT if without_text else ()) + (() if lora else _OF_LORA)


def _matters(key: str) -> bool:
    parts = key.split(".")
    if parts[:2] == ["trainer", "callbacks"] and parts[2] in _SILENT_CALLBACKS:
        return False
    return parts[-1] not in NO_EFFECT and not key.startswith(_NO_EFFECT_BELOW)


def _renamed(config: RecordedConfig) -> RecordedConfig:
    """Returns the configuration with what model and data both name, or name otherwise, once."""
    reports, train = dict(config.reports.arguments), config.part("data.datasets.train")
    labels = {
        name: train.first("FewLabels").get(argument)
        for name, argument in _OF_LABELS.items()
        if train.first("FewLabels").get("labels_per_class") is not None
    }
    augmentation = train.first("FewLabels").get("augmentation")
    train = train.without("FewLabels")
    if isinstance(reports.get("clip_model"), str):
        reports["clip_model"] = reports["clip_model"].rpartition("/")[2]  # of a folder, its name
    own = {k: v for k, v in train.arguments.items() if k not in ("reports", "top_k")}
    model = config.part("model")
    arguments = {**model.arguments, "reports": None}
    datasets = {**config.part("data.datasets").arguments, "train": own}
    return RecordedConfig(
        {
            "trainer": config.get("trainer"),
            "model": {"class_path": model.class_path, "init_args": arguments},
            "data": {**config.part("data").arguments, "datasets": datasets},
            "reports": reports,
            "labels": labels,
            "augmentation": augmentation,
            "top_k": train.get("top_k"),
        }
    )


def _of_pairs(config: RecordedConfig, pairing: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yields what the pairing table's provenance says of the pairs, and of the reports."""
    made_of = pairing.get("reports") or {}
    sources = (config.reports.get("path"), made_of.get("source"))
    prompts = any(isinstance(source, str) and source.startswith(PROMPTS) for source in sources)
    yield "pairing.prompts", prompts
    yield "pairing.control", pairing.get("control") or None
    yield "pairing.replaced_share", float(pairing.get("replaced_share") or 0)
    policy = dict(pairing.get("policy") or {"name": "nearest"})
    if policy.get("name") in CONTROLS:  # `control` says it
        policy = {"name": "nearest"}
    name = str(policy.pop("name", "nearest"))
    yield "pairing.policy", " ".join([name, *(f"{k} {_number(v)}" for k, v in policy.items())])
    if made_of.get("sha256") and not prompts:
        yield "pairing.reports", made_of["sha256"][:8]


def _plain(value: Any) -> Any:
    """Returns a value so that equal ones compare equal; None where nothing is set."""
    if isinstance(value, list):
        return "+".join(str(_number(item)) for item in value) or None
    if isinstance(value, Mapping) or value in ("", "keep"):
        return None
    return value if isinstance(value, bool) else _number(value)


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value
