"""How each arm was trained, and how, and on how many images, its checkpoint was selected."""

from collections.abc import Sequence

import pandas as pd

from clipit_eva.eva.recorded_config import RecordedConfig

from ..frames import columns
from ..reading.runs import Run, validation_of
from ..reading.study import Comparison
from ..tables import layout
from ..tables.table import Table

TITLES = {
    "selected": "checkpoint selected by",
    "n_validation": "validation images",
    "validation": "which are",
    "optimizer": "optimizer",
    "batch_size": "batch",
    "max_steps": "most steps",
    "patience": "patience",
    "criterion": "loss",
    "distillation": "distillation",
    "lora": "LoRA",
    "precision": "precision",
}
COLUMNS = (
    *layout.WHERE,
    layout.words("Arm", "label"),
    *(layout.words(title, name) for name, title in TITLES.items()),
)
NOTE = (
    "As each arm's first run recorded it; a dash: not recorded, or the library's default. The "
    "number of validation images is that of the predictions kept of them."
)


def frame(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """Returns one row a comparison and arm, all text; None where a run does not say."""
    return pd.DataFrame(
        {**columns.where(comparison), "label": arm.label, **settings(runs[0])}
        for comparison in comparisons
        for arm, runs in comparison.runs.items()
    )


def table(frame: pd.DataFrame, _: Sequence[Comparison] = ()) -> Table:
    """Returns the table."""
    title = "Training settings and selection of the checkpoint"
    return layout.lay_out("training_settings", title, frame, COLUMNS, before=(NOTE,))


def settings(run: Run) -> dict[str, str | None]:
    """Returns what is printed of a run's settings, by the names of `TITLES`."""
    model, trainer = run.config.part("model"), run.config.part("trainer")
    kept, validation = trainer.first("ModelCheckpoint"), validation_of(run)
    optimizer, held = model.part("optimizer"), run.config.part("data.datasets.val").of_images()
    words = {
        "selected": (kept.get("mode"), kept.get("monitor")),
        "n_validation": (None if validation is None else f"{len(validation.test_set):,}",),
        "validation": (held.first("HoldOut").get("part"), held.innermost.get("split")),
        "optimizer": (optimizer.class_name, *_named(optimizer, "lr", "weight_decay")),
        "batch_size": (run.config.get("data.dataloaders.train.batch_size"),),
        "max_steps": (trainer.get("max_steps"),),
        "patience": (trainer.first("EarlyStopping").get("patience"),),
        "criterion": (model.part("criterion").class_name or model.get("criterion"),),
        "distillation": (model.get("distillation"), *_named(model, "distill_weight")),
        "lora": _named(model.part("lora"), "rank", "alpha", "vision", "text"),
        "precision": (trainer.get("precision"),),
    }
    joined = {
        name: " ".join(str(part) for part in parts if part not in (None, ""))
        for name, parts in words.items()
    }
    return {name: text or None for name, text in joined.items()}


def _named(part: RecordedConfig, *names: str) -> tuple[str, ...]:
    """Returns the settings of a part that are there, each with its name."""
    return tuple(f"{name} {part.get(name)}" for name in names if part.get(name) is not None)
