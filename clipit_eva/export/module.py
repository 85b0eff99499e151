"""An exported classifier as an eva model module."""

from pathlib import Path
from typing import Any

import torch
from eva.core.metrics import structs as metrics_lib
from eva.core.models.modules import module
from eva.core.models.modules.typings import INPUT_BATCH
from eva.core.models.modules.utils import batch_postprocess
from lightning.pytorch.utilities.types import STEP_OUTPUT
from torch import nn
from typing_extensions import override

from clipit_eva.export.classifier_files import load_classifier
from clipit_eva.models.losses import build_criterion


class ExportedModule(module.ModelModule):
    """A file of `clipit-eva export` for `eva predict`, `eva validate` and `eva test`."""

    def __init__(
        self,
        file: str,
        criterion: str | nn.Module | None = None,
        metrics: metrics_lib.MetricsSchema | None = None,
        postprocess: batch_postprocess.BatchPostProcess | None = None,
    ) -> None:
        """Loads the classifier.

        Args:
            file: The file, `.safetensors` or `.onnx`.
            criterion: The loss that is reported: a key of `losses.CRITERIA`, or a module; `None`
                means the run's own.
            metrics: The metric groups to track.
            postprocess: Functions applied to predictions and targets before metrics.

        Raises:
            InputError: The file is missing or damaged, or the criterion does not fit it.
        """
        super().__init__(metrics=metrics, postprocess=postprocess)
        self.classifier, self.about = load_classifier(file)
        self.classifier.requires_grad_(False)
        num_classes = self.about["head"][-1][2]
        self.criterion = build_criterion(criterion or self.about["criterion"], num_classes)
        self.checkpoint_file = Path(file)  # for the provenance of predictions

    @override
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Returns the logits of images [B, 3, H, W]: [B, C], or [B] with one logit."""
        return self.classifier(images).squeeze(-1)

    @override
    def validation_step(self, batch: INPUT_BATCH, *args: Any, **kwargs: Any) -> STEP_OUTPUT:
        return self._evaluate(batch)

    @override
    def test_step(self, batch: INPUT_BATCH, *args: Any, **kwargs: Any) -> STEP_OUTPUT:
        return self._evaluate(batch)

    @override
    def predict_step(self, batch: INPUT_BATCH, *args: Any, **kwargs: Any) -> Any:
        return {self.about["branch"]: self(INPUT_BATCH(*batch).data)}

    def _evaluate(self, batch: INPUT_BATCH) -> STEP_OUTPUT:
        """Returns a step's output in eva's form."""
        parts: Any = INPUT_BATCH(*batch)
        images, targets, metadata = parts
        predictions = self(images)
        # Classes are indices, one logit's targets numbers: eva's datasets have either.
        targets = targets.long() if predictions.ndim > 1 else targets.to(predictions.dtype)
        return {
            "loss": self.criterion(predictions, targets),
            "targets": targets,
            "predictions": predictions,
            "metadata": metadata,
        }
