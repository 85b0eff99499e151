"""The distillation losses that a config can name, and those of other packages.

A package adds a loss by an entry point whose name is the loss's and whose object is a subclass of
`DistillationLoss`:

    [project.entry-points."clipit_eva.distillation_losses"]
    my_loss = "my_package.losses:MyLoss"
"""

import dataclasses
import warnings
from importlib import metadata

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from clipit_eva import entry_points
from clipit_eva.errors import InputError
from clipit_eva.models.losses import distillation_loss

ENTRY_POINTS = "clipit_eva.distillation_losses"
"""The entry point group in which other packages register losses."""

TEMPERATURE = 0.07
"""Temperature of the contrastive loss (CLIP's initial one; Radford et al., arXiv 2103.00020)."""


LEAST_RATIO = 0.05
"""Ratio of the text's gradient to the criterion's below which a run warns."""


@dataclasses.dataclass(frozen=True)
class TrainingTexts:
    """What a distillation loss may know of the training images' reports before training.

    Attributes:
        mean: Mean embedding over the images [t], float32.
        distinct: Number of distinct reports.
    """

    mean: torch.Tensor
    distinct: int


class DistillationLoss(nn.Module):
    """How far projected vision embeddings are from the embeddings of their reports.

    Attributes:
        mean_text: Mean report embedding of the training images [t], float32; None if not known. A
            run's checkpoint holds it, too.
    """

    mean_text: torch.Tensor | None

    def __init__(self, texts: TrainingTexts | None) -> None:
        """Initializes the loss.

        Args:
            texts: The reports of the training images; `None` if only batches tell.

        Raises:
            InputError: The loss cannot be trained on them.
        """
        super().__init__()
        mean = None if texts is None else texts.mean
        self.register_buffer("mean_text", mean, persistent=False)

    def target(self, text: torch.Tensor) -> torch.Tensor:
        """Returns what projected embeddings are to be like, of report embeddings [B, t]."""
        return text

    def forward(
        self, projected: torch.Tensor, text: torch.Tensor, reports: torch.Tensor
    ) -> torch.Tensor:
        """Returns a scalar that is the smaller the better.

        Args:
            projected: Vision embeddings in the text space [B, t], float.
            text: Embeddings of the paired reports [B, t], float.
            reports: Rows of each sample's reports [B, k], int64: equal where reports are.
        """
        raise NotImplementedError

    def of_mean_text(self, text: torch.Tensor, reports: torch.Tensor) -> torch.Tensor | None:
        """Returns the loss that one direction for all images would earn: that of the mean text.

        None if that is not known. Arguments are those of `forward`.
        """
        if self.mean_text is None:
            return None
        constant = self.target(self.mean_text.expand_as(text).to(text.dtype))
        return self(constant, text, reports)


class CosineDistillation(DistillationLoss):
    """Mean cosine distance to the report (arXiv 2504.16181, section 3(b)): the paper's."""

    def forward(
        self, projected: torch.Tensor, text: torch.Tensor, reports: torch.Tensor
    ) -> torch.Tensor:
        """Returns a scalar in [0, 2]; arguments are the base's."""
        return distillation_loss(projected, self.target(text))


class CentredCosineDistillation(CosineDistillation):
    """Mean cosine distance to what a report says beyond the mean report."""

    mean_text: torch.Tensor

    def __init__(self, texts: TrainingTexts | None) -> None:
        """Takes the reports of the training images.

        Raises:
            InputError: They are not known, or all images have one, which says nothing beyond
                itself.
        """
        if texts is None:
            raise InputError(
                "DISTILLATION=centred_cosine needs data.datasets.train to be a PairedDataset: the "
                "mean report is that of its images"
            )
        if texts.distinct < 2:
            raise InputError(
                "DISTILLATION=centred_cosine: all training images have the same report; give other "
                "pairs, or use cosine"
            )
        super().__init__(texts)

    def target(self, text: torch.Tensor) -> torch.Tensor:
        """Returns report embeddings [B, t] minus the mean one."""
        return text - self.mean_text.to(text.dtype)


class ContrastiveDistillation(DistillationLoss):
    """InfoNCE over the reports of a batch (van den Oord et al., arXiv 1807.03748).

    Each image is to find its report among the batch's distinct ones: identical reports count once.
    """

    def forward(
        self, projected: torch.Tensor, text: torch.Tensor, reports: torch.Tensor
    ) -> torch.Tensor:
        """Returns a scalar of at least 0; arguments are the base's."""
        distinct, own = reports.unique(dim=0, return_inverse=True)
        first = torch.full((len(distinct),), len(own), dtype=torch.int64, device=own.device)
        places = torch.arange(len(own), device=own.device)
        first = first.scatter_reduce(0, own, places, "amin").to(text.device)
        images = functional.normalize(projected, dim=-1)
        texts = functional.normalize(text[first], dim=-1)
        return functional.cross_entropy(images @ texts.T / TEMPERATURE, own.to(images.device))


_OWN = tuple(
    metadata.EntryPoint(name, f"{__name__}:{loss.__name__}", ENTRY_POINTS)
    for name, loss in (
        ("cosine", CosineDistillation),
        ("centred_cosine", CentredCosineDistillation),
        ("contrastive", ContrastiveDistillation),
    )
)


def find_distillation(name: str) -> type[DistillationLoss]:
    """Returns the distillation loss of a name.

    Raises:
        InputError: There is none, two packages register it, or it cannot be imported.
    """
    found = entry_points.load(ENTRY_POINTS, _OWN, name, f"DISTILLATION={name}")
    if found is None:
        others = entry_points.list_names(ENTRY_POINTS, _OWN)
        known = dict.fromkeys([*(entry.name for entry in _OWN), *others])
        raise InputError(f"DISTILLATION={name} is unknown; use one of {', '.join(known)}")
    loss, theirs = found
    if not (isinstance(loss, type) and issubclass(loss, DistillationLoss)):
        raise InputError(f"{theirs} is no subclass of {__name__}.DistillationLoss")
    return loss


def training_texts(rows: np.ndarray, weights: np.ndarray, embeddings: np.ndarray) -> TrainingTexts:
    """Returns what is known of the training images' reports.

    Args:
        rows: Each image's rows in `embeddings` [N, k], int64.
        weights: Their weights [N, k], float.
        embeddings: Embeddings of reports [R, t], float.
    """
    share = np.bincount(rows.ravel(), weights.ravel(), minlength=len(embeddings)) / len(rows)
    used = np.flatnonzero(share)
    mean = share[used] @ embeddings[used].astype(np.float64)
    return TrainingTexts(torch.from_numpy(mean).float(), len(used))


class GradientWatch:
    """Compares the text's gradient with the criterion's; warns once where it is small."""

    def __init__(self) -> None:
        """Initializes the watch, before any step."""
        self._warned = False

    def compare(
        self, distillation: torch.Tensor, classification: torch.Tensor, at: torch.Tensor, step: int
    ) -> float:
        """Returns the ratio of the norms of two losses' gradients.

        Args:
            distillation: The weighted distillation loss, a scalar.
            classification: The classification loss, a scalar.
            at: Where the gradients are compared: what both losses were computed from.
            step: Number of the training step, for the warning.
        """
        norms = [
            torch.autograd.grad(loss, at, retain_graph=True)[0].float().norm()
            for loss in (distillation, classification)
        ]
        ratio = float(norms[0] / norms[1])
        if ratio < LEAST_RATIO and not self._warned:
            self._warned = True
            warnings.warn(
                f"step {step}: the text's gradient is {ratio:.1%} of the criterion's, so that what "
                "reports say hardly matters; raise DISTILL_WEIGHT, or try "
                "DISTILLATION=centred_cosine",
                stacklevel=2,
            )
        return ratio
