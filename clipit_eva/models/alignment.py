"""The callback that measures how training aligns images with their paired reports."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pandas as pd
import torch
from eva.core.models.modules.typings import INPUT_BATCH
from lightning.pytorch import callbacks
from lightning.pytorch.utilities.seed import isolate_rng
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Subset
from typing_extensions import override

from clipit_eva import provenance
from clipit_eva.data.augmented import plain_images
from clipit_eva.data.wrapper import eva_dataset, eva_index
from clipit_eva.errors import InputError
from clipit_eva.models import alignment_table
from clipit_eva.models.checkpoints import read_checkpoint
from clipit_eva.models.clipit_module import CLIPITModule
from clipit_eva.models.training_batches import report_rows

SAMPLES = 512
"""Most training samples that are measured."""

BATCH = 64
"""Samples measured at once."""


class AlignmentWriter(callbacks.Callback):
    """Writes the alignment table of a CLIP-IT run: `alignment.parquet` in the run's folder.

    Measured are the projected image embeddings P v against the embeddings t of the paired reports
    (arXiv 2504.16181, section 3(b)), of training samples evenly spread over the dataset's order,
    before the first step and with the weights that the run selects (its best ones, unless it keeps
    the last). Training is the same to the last bit with and without it. Runs without text
    (`DISTILL_WEIGHT=0`) have no such table.
    """

    def __init__(self) -> None:
        """Initializes the callback."""
        super().__init__()
        self._before: np.ndarray | None = None

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not isinstance(pl_module, CLIPITModule):
            raise InputError(
                f"AlignmentWriter measures CLIPITModule, not {type(pl_module).__name__}; remove it "
                "from trainer.callbacks"
            )
        self._before = None
        if trainer.is_global_zero and pl_module.reports is not None:
            self._before = _measure(trainer, pl_module)

    @override
    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        run = str(trainer.log_dir)  # a broadcast: every process has to ask
        if self._before is None or not isinstance(pl_module, CLIPITModule):
            return
        selected = _selected(trainer)
        with _weights(pl_module, selected):
            after = _measure(trainer, pl_module)
        facts = {
            "kind": alignment_table.KIND,
            "run": run,
            "seed": provenance.seed(),
            "after": "last" if selected is None else "best",
            "text_cosine_before": _mean_cosine(self._before[:, 2:]),
            "text_cosine_after": _mean_cosine(after[:, 2:]),
            "versions": provenance.versions(),
        }
        path = Path(run) / alignment_table.FILENAME
        alignment_table.write_alignment(_rows(trainer, self._before, after), path, facts)


def _rows(trainer: pl.Trainer, before: np.ndarray, after: np.ndarray) -> pd.DataFrame:
    """Returns the table's rows, of measures before and after training."""
    loader: Any = trainer.train_dataloader
    dataset = loader.dataset
    indices = [eva_index(dataset, position) for position in _positions(len(dataset))]
    inner = eva_dataset(dataset)
    return pd.DataFrame(
        {
            "index": indices,
            "filename": [inner.filename(index) for index in indices],
            "cosine_before": before[:, 0],
            "cosine_after": after[:, 0],
            "distance_before": before[:, 1],
            "distance_after": after[:, 1],
        }
    )


def _mean_cosine(text: np.ndarray) -> float:
    """Returns the mean cosine of two samples' paired texts [n, text]: 1 if all are alike."""
    n = len(text)
    units = text.astype(np.float64) / np.linalg.norm(text, axis=1, keepdims=True)
    return float((np.square(units.sum(axis=0)).sum() - n) / (n * (n - 1))) if n > 1 else 1.0


def _positions(length: int) -> list[int]:
    """Returns the positions of the samples that are measured: always the same ones."""
    return np.linspace(0, length - 1, min(SAMPLES, length)).round().astype(int).tolist()


def _selected(trainer: pl.Trainer) -> str | None:
    """Returns the checkpoint that the run will be tested with; None means the last weights."""
    if getattr(trainer, "checkpoint_type", "best") != "best":
        return None
    return getattr(trainer.checkpoint_callback, "best_model_path", "") or None


@contextlib.contextmanager
def _weights(module: nn.Module, checkpoint: str | None) -> Iterator[None]:
    """Gives a module the trained tensors of a checkpoint for a while."""
    if checkpoint is None:
        yield
        return
    chosen = read_checkpoint(checkpoint, "best_model_path")["state_dict"]
    state = module.state_dict()
    own = {name: state[name].clone() for name in chosen}
    module.load_state_dict(chosen, strict=False)  # the frozen tensors are not in it
    try:
        yield
    finally:
        module.load_state_dict(own, strict=False)


@torch.no_grad()
def _measure(trainer: pl.Trainer, module: CLIPITModule) -> np.ndarray:
    """Returns cosine, distance and paired text of some training samples [n, 2 + text].

    Training's state stays.
    """
    given: Any = trainer.train_dataloader
    dataset = given.dataset
    modes = {part: part.training for part in module.modules()}
    module.eval()
    with isolate_rng(), plain_images(dataset):  # transforms may draw, and the loader does
        samples = Subset(dataset, _positions(len(dataset)))
        loader = DataLoader(samples, BATCH, collate_fn=given.collate_fn)
        parts = [_measure_batch(trainer, module, batch) for batch in loader]
    for part, training in modes.items():
        part.training = training
    return np.concatenate(parts)


def _measure_batch(trainer: pl.Trainer, module: CLIPITModule, batch: Any) -> np.ndarray:
    """Returns cosine, distance and paired text of a batch [B, 2 + text]."""
    if module.reports is None:
        raise RuntimeError("the reports have been freed")
    batch = trainer.precision_plugin.convert_input(batch)
    given: Any = INPUT_BATCH(*trainer.strategy.batch_to_device(batch))
    rows = report_rows(given.metadata)
    with trainer.precision_plugin.forward_context():
        projected = module.branches(given.data).projected.float()
        embeddings = module.reports(rows).float()
    text = torch.einsum("bk,bkt->bt", given.metadata["report_weight"].float(), embeddings)
    target = text if module.distillation is None else module.distillation.target(text)
    cosine = functional.cosine_similarity(projected, target)
    distance = functional.pairwise_distance(projected, target, eps=0)
    return torch.cat([cosine[:, None], distance[:, None], text], dim=1).cpu().numpy()
