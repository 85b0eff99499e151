"""A trained CLIP-IT run as a model that predicts."""

from typing import Any

from eva.core.metrics import structs as metrics_lib
from eva.core.models.modules.typings import MODEL_TYPE
from eva.core.models.modules.utils import batch_postprocess
from torch import nn
from typing_extensions import override

from clipit_eva.errors import InputError
from clipit_eva.eva import recorder
from clipit_eva.models import checkpoints, made_with
from clipit_eva.models.clipit_module import CLIPITModule
from clipit_eva.models.lora import LoRASettings

FIELD = "CHECKPOINT"

_SETTINGS = {
    "in_features": int,
    "num_classes": int,
    "text_features": int,
    "lora": dict,
    "vision_head_lora": bool,
}
"""What a checkpoint has to tell of its module, and of which type."""


class TrainedCLIPITModule(CLIPITModule):
    """CLIP-IT with the weights of a finished run; its layers are those that the run had.

    For `eva predict`, `eva validate` and `eva test`; the latter two need `checkpoint_type: last` in
    the trainer, because "best" asks for a checkpoint of a trainer that has trained. Needs no text.
    Images are transformed as the run's were; a config need not say how.
    """

    def __init__(
        self,
        backbone: MODEL_TYPE | None = None,
        checkpoint: str | None = None,
        criterion: str | nn.Module | None = None,
        metrics: metrics_lib.MetricsSchema | None = None,
        postprocess: batch_postprocess.BatchPostProcess | None = None,
    ) -> None:
        """Reads the run's settings; its weights are loaded in `configure_model`.

        Args:
            backbone: The vision encoder that the run was trained on; `None` makes the run's own,
                if it is of eva's registry.
            checkpoint: A checkpoint of `CLIPITModule`, or the folder of one run.
            criterion: The loss that is reported; `None` means the run's own, or the plain
                cross-entropy if the run had a module of its own.
            metrics: The metric groups to track.
            postprocess: Functions applied to predictions and targets before metrics.

        Raises:
            InputError: There is no such checkpoint, or it is corrupt or not of `CLIPITModule`.
        """
        if checkpoint is None:
            raise InputError(f"{FIELD} is not set; give a CLIP-IT run's folder or checkpoint")
        file = checkpoints.find_checkpoint(checkpoint, FIELD)
        content = checkpoints.read_checkpoint(file, FIELD)
        settings = content.get(checkpoints.SETTINGS_KEY)
        if not isinstance(settings, dict):
            raise InputError(f"{FIELD}={file} is not of a CLIP-IT run; give one of `clip_it`")
        self._made_with: dict[str, Any] = settings.get("made_with") or {}
        for name, kind in _SETTINGS.items():
            if not isinstance(settings.get(name), kind):
                raise InputError(f"{FIELD}={file} lacks its setting {name}; train the run again")
        self._is_own_backbone = backbone is None
        plain = "binary_cross_entropy" if settings["num_classes"] == 1 else "cross_entropy"
        super().__init__(
            backbone or made_with.build_backbone(self._made_with, f"{FIELD}={file}"),
            in_features=settings["in_features"],
            num_classes=settings["num_classes"],
            text_features=settings["text_features"],
            criterion=criterion or settings.get("criterion") or plain,
            distill_weight=0.0,
            lora=LoRASettings(**settings["lora"]),
            vision_head_lora=settings["vision_head_lora"],
            metrics=metrics,
            postprocess=postprocess,
        )
        self.checkpoint_file = file
        self._content = content

    @override
    def setup(self, stage: str) -> None:
        super().setup(stage)
        if self._is_own_backbone:
            recorder.complete("model.backbone", self._made_with["backbone"])
        made_with.prepare_data(self.trainer, self._made_with, f"{FIELD}={self.checkpoint_file}")

    @override
    def configure_model(self) -> None:
        if self.heads is not None:
            return
        super().configure_model()
        checkpoint: dict[str, Any] = dict(self._content)
        try:
            self.on_load_checkpoint(checkpoint)
        except InputError as error:
            raise InputError(f"{FIELD}={self.checkpoint_file}: {error}") from None
        self.load_state_dict(checkpoint["state_dict"])

    @override
    def _predicts_before_fit(self) -> bool:
        return False
