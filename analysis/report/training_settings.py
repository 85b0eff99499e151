"""How each arm was trained, and how, and on how many images, its checkpoint was selected."""

from collections.abc import Sequence
from typing import Any

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
    optimizer, lora = model.part("optimizer"), model.part("lora")
    held = run.config.part("data.datasets.val").of_images()
    words = {
        "selected": _joined(kept, "mode", "monitor"),
        "n_validation": None if validation is None else f"{len(validation.test_set):,}",
        "validation": _joined(held.innermost, "split", before=held.first("HoldOut").get("part")),
        "optimizer": _joined(optimizer, "lr", "weight_decay", before=optimizer.class_name),
        "batch_size": run.config.get("data.dataloaders.train.batch_size"),
        "max_steps": trainer.get("max_steps"),
        "patience": trainer.first("EarlyStopping").get("patience"),
        "criterion": model.part("criterion").class_name or model.get("criterion"),
        "distillation": _joined(model, "distillation", "distill_weight"),
        "lora": _joined(lora, "rank", "alpha", "vision", "text"),
        "precision": trainer.get("precision"),
    }
    return {name: None if value in (None, "") else str(value) for name, value in words.items()}


def _joined(part: RecordedConfig, *names: str, before: Any = None) -> str:
    """Returns some settings of a part in words, as far as they are there."""
    named = ("mode", "monitor", "split", "distillation")
    found = [] if before is None else [str(before)]
    for name in names:
        value = part.get(name)
        if value is not None:
            found.append(str(value) if name in named else f"{name} {value}")
    return " ".join(found)
