"""An exported classifier as an eva model module."""

from pathlib import Path
from typing import Any

from eva.core.metrics import structs as metrics_lib
from eva.core.models.modules import HeadModule
from eva.core.models.modules.typings import INPUT_BATCH
from eva.core.models.modules.utils import batch_postprocess
from lightning.pytorch.utilities.types import STEP_OUTPUT
from torch import nn
from typing_extensions import override

from clipit_eva.export.classifier_files import load_classifier
from clipit_eva.models.losses import build_criterion


class ExportedModule(HeadModule):
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
        classifier, about = load_classifier(file)
        criterion = build_criterion(criterion or about["criterion"], about["head"][-1][2])
        super().__init__(
            classifier.requires_grad_(False), criterion, metrics=metrics, postprocess=postprocess
        )
        self.about = about
        self.checkpoint_file = Path(file)  # for the provenance of predictions

    @override
    def test_step(self, batch: INPUT_BATCH, *args: Any, **kwargs: Any) -> STEP_OUTPUT:
        images, targets, metadata = INPUT_BATCH(*batch)
        # Classes are indices, one logit's targets numbers: eva's datasets have either.
        targets = targets.float() if self.about["head"][-1][2] == 1 else targets.long()  # type: ignore[union-attr]
        return super().test_step(INPUT_BATCH(images, targets, metadata))

    validation_step = test_step

    @override
    def predict_step(self, batch: INPUT_BATCH, *args: Any, **kwargs: Any) -> Any:
        return {self.about["branch"]: self(INPUT_BATCH(*batch).data)}
