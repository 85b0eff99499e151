"""CLIP-IT as an eva model module."""

import dataclasses
import warnings
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from eva.core.metrics import structs as metrics_lib
from eva.core.models.modules import module
from eva.core.models.modules.typings import INPUT_BATCH, MODEL_TYPE
from eva.core.models.modules.utils import batch_postprocess
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities.types import STEP_OUTPUT
from torch import nn, optim
from typing_extensions import override

from clipit_eva.data.few_labels import LABELLED
from clipit_eva.data.paired import PairedDataset
from clipit_eva.data.wrapper import find_wrapper
from clipit_eva.embeddings.embedded_backbone import weights_digest
from clipit_eva.embeddings.report_source import ReportSource
from clipit_eva.eva import compat
from clipit_eva.models import checkpoints, lora, lora_targets, made_with, vision_head
from clipit_eva.models import training_batches as batches
from clipit_eva.models.argument_checks import check_ranges, check_widths
from clipit_eva.models.distillation import (
    DistillationLoss,
    GradientWatch,
    find_distillation,
    training_texts,
)
from clipit_eva.models.heads import CLIPITHeads, HeadOutputs
from clipit_eva.models.lora import LoRASettings
from clipit_eva.models.losses import build_criterion
from clipit_eva.models.report_features import CachedReports, EncodedReports, build_reports
from clipit_eva.models.training import enable_checkpointing, use_fused_kernel


class CLIPITModule(module.ModelModule):
    """Distils paired reports into a vision backbone that LoRA adapts.

    Only training reads text: test and prediction need images alone, and so does validation unless
    `validation_distillation` is set.

    Reference: Karimian et al., arXiv 2504.16181.
    """

    def __init__(
        self,
        backbone: MODEL_TYPE,
        in_features: int,
        num_classes: int,
        text_features: int = 512,
        reports: ReportSource | None = None,
        *,
        criterion: str | nn.Module = "cross_entropy",
        distillation: str = "cosine",
        distill_weight: float = 1.0,
        word_dropout: float = 0.0,
        text_gradient: bool = True,
        lora: LoRASettings = LoRASettings(),  # noqa: B008 (frozen)
        vision_head_checkpoint: str | None = None,
        vision_head_lora: bool = False,
        validation_distillation: bool = False,
        gradient_checkpointing: bool = False,
        optimizer: OptimizerCallable = optim.Adam,
        lr_scheduler: LRSchedulerCallable | None = None,
        metrics: metrics_lib.MetricsSchema | None = None,
        postprocess: batch_postprocess.BatchPostProcess | None = None,
    ) -> None:
        """Initializes the module; layers are built in `configure_model`, anew for each run.

        Args:
            backbone: The vision encoder, images [B, 3, H, W] -> embeddings [B, in_features].
            in_features: Width of the backbone's embedding.
            num_classes: Number of logits; 1 for a binary task with one logit.
            text_features: Width of the report embeddings (512 for CONCH).
            reports: The reports and the text encoder; not read if `distill_weight` is 0.
            criterion: The classification loss: a key of `losses.CRITERIA`, or a module that takes
                logits and targets.
            distillation: Name of the distillation loss, see `distillation.find_distillation`.
            distill_weight: Weight lambda of the distillation loss, at least 0; 0 is the no-text
                ablation (same layers, no report read).
            word_dropout: Share of a report's words left out each time training reads it, [0, 1).
            text_gradient: Whether the distillation loss trains the text encoder's LoRA; otherwise
                report embeddings are constants to it (a control of text LoRA).
            lora: Where and how LoRA adapts the vision backbone and the text encoder.
            vision_head_checkpoint: What the vision head starts from: a unimodal run's checkpoint
                (eva's format or ours), its folder, or the folder of a session of several runs, of
                which each run takes the one of its own number.
            vision_head_lora: Freeze the vision head and adapt it with LoRA, as the authors do;
                otherwise it is trained in full.
            validation_distillation: Whether the validation loss has the distillation term too, as
                the authors': the text of paired validation data takes part in selecting the model.
            gradient_checkpointing: Compute the activations of encoders that LoRA adapts twice,
                rather than keep them: less memory, more time, the same gradients.
            optimizer: The optimizer of all trainable parameters.
            lr_scheduler: The learning rate scheduler; `None` keeps the rate (eva's default, torch's
                ConstantLR, divides it by three for five epochs).
            metrics: The metric groups to track, on the fused prediction.
            postprocess: Functions applied to predictions and targets between loss and metrics.

        Raises:
            InputError: An argument is out of range.
        """
        super().__init__(metrics=metrics, postprocess=postprocess)
        check_ranges(distill_weight, word_dropout)
        check_widths(IN_FEATURES=in_features, TEXT_FEATURES=text_features, num_classes=num_classes)
        self.backbone = backbone
        self.criterion = build_criterion(criterion, num_classes)
        self._criterion_name = criterion if isinstance(criterion, str) else None
        self.optimizer = optimizer
        self.lr_scheduler = lr_scheduler
        self.heads: CLIPITHeads | None = None
        self.reports: CachedReports | EncodedReports | None = None
        self.distillation: DistillationLoss | None = None
        self.input_files: dict[str, Path] = {}  # for the provenance of predictions
        self._report_source = reports
        self._in_features = in_features
        self._num_classes = num_classes
        self._text_features = text_features
        self._distillation = find_distillation(distillation)
        self._distill_weight = distill_weight
        self._word_dropout = word_dropout
        self._text_gradient = text_gradient
        self._lora = lora
        self._vision_head_checkpoint = vision_head_checkpoint
        self._vision_head_lora = vision_head_lora
        self._validation_distillation = validation_distillation
        self._gradient_checkpointing = gradient_checkpointing
        self._backbone_digest = ""
        self._vision_targets: list[str] = []
        self._vision_head_loaded = False
        self._lora_checked = False
        self._gradients = GradientWatch()

    @property
    def settings(self) -> dict[str, Any]:
        """What the layers and the loss are built by, as plain values for the checkpoint."""
        return {
            "in_features": self._in_features,
            "num_classes": self._num_classes,
            "text_features": self._text_features,
            "lora": {**dataclasses.asdict(self._lora), "targets": list(self._lora.targets)},
            "vision_head_lora": self._vision_head_lora,
            "backbone_digest": self._backbone_digest,
            "criterion": self._criterion_name,  # None: a module, which the config has to give
        }

    @override
    def configure_model(self) -> None:
        # Called by eva and by each stage of the trainer: a second build would reset the layers.
        # While `predict_fit` predicts, the model is still the one that all runs are cloned from:
        # layers built there would give every run the same initial weights.
        if self.heads is not None or self._predicts_before_fit():
            return
        self._backbone_digest = weights_digest(self.backbone)
        if self._lora.vision:
            targets, found = self._lora.targets, lora_targets.find_targets
            self._vision_targets = [t for t in targets if found(self.backbone, t)]
            # With text LoRA a target may be meant for the text encoder: see `_build_reports`.
            lora.inject_lora(self.backbone, self._lora, targets if self._lora.text else ())
            if self._gradient_checkpointing:
                enable_checkpointing(self.backbone)
        else:
            self.backbone.requires_grad_(False)
        self.heads = CLIPITHeads(self._in_features, self._text_features, self._num_classes)
        if self._vision_head_lora:
            vision_head.adapt_vision_head(self.heads, self._lora)

    @override
    def setup(self, stage: str) -> None:
        if stage != "fit":
            return
        # Lightning says so whenever there is a data module.
        warnings.filterwarnings("ignore", "You have overridden `transfer_batch_to_device`")
        self.configure_model()
        path = self._vision_head_checkpoint
        if path is not None and not self._vision_head_loaded and self.heads is not None:
            # A later run's missing head is told before hours of training, not after.
            for number in range(getattr(self.trainer, "n_runs", 1)):
                checkpoints.find_checkpoint(path, vision_head.FIELD, f"run_{number}")
            # Here, because which run this is (`run_0`, ...) is not known before.
            run = Path(str(self.trainer.log_dir)).name
            self.input_files["vision_head"] = vision_head.load_vision_head(
                self.heads.vision, path, run
            )
            self._vision_head_loaded = True
        if self._distill_weight > 0 and self.reports is None:
            self._build_text_side()

    @override
    def on_fit_start(self) -> None:
        super().on_fit_start()
        self.train()  # Lightning trains in the mode that it finds: here, layers as they were built

    @override
    def on_fit_end(self) -> None:
        self.reports = self.distillation = None  # nothing after training reads text

    @override
    def configure_optimizers(self) -> Any:
        optimizer = self.optimizer([p for p in self.parameters() if p.requires_grad])
        use_fused_kernel(optimizer)
        if self.lr_scheduler is None:
            return {"optimizer": optimizer}
        return {"optimizer": optimizer, "lr_scheduler": self.lr_scheduler(optimizer)}

    @override
    def train(self, mode: bool = True) -> "CLIPITModule":
        # Frozen layers keep their statistics and drop nothing; only LoRA's own dropout trains.
        super().train(mode)
        encoders = [self.backbone, getattr(self.reports, "encoder", None)]
        for encoder in filter(None, encoders):
            encoder.eval()
            for layer in lora.lora_layers(encoder).values():
                layer.lora_dropout.train(mode)
        return self

    @override
    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        made = made_with.describe(compat.recorded_trainer(self))
        mean = getattr(self.distillation, "mean_text", None)
        settings = {**self.settings, "made_with": made, "mean_text": mean}
        checkpoints.keep_trained(checkpoint, self._trained_tensors(), settings)

    @override
    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoints.fill_frozen(checkpoint, self, self._trained_tensors(), self.settings)

    @override
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Returns the fused logits of images [B, 3, H, W]: [B, C], or [B] with one logit."""
        return self.branches(images).fused.squeeze(-1)

    def branches(self, images: torch.Tensor) -> HeadOutputs:
        """Returns the outputs of all heads for images [B, 3, H, W].

        Raises:
            InputError: The backbone's embedding has another width than IN_FEATURES.
        """
        return self._apply_heads(self.backbone(images))

    def _apply_heads(self, embeddings: torch.Tensor) -> HeadOutputs:
        """Returns the outputs of all heads for embeddings [B, d]."""
        if self.heads is None:
            raise RuntimeError("configure_model has not been called")
        return self.heads(embeddings)

    @override
    def transfer_batch_to_device(
        self, batch: Any, device: torch.device, dataloader_idx: int
    ) -> Any:
        moved = super().transfer_batch_to_device(batch, device, dataloader_idx)
        (_, _, before), (_, _, after) = batches.unpack(batch), batches.unpack(moved)
        # What decides what is computed is asked on the CPU: for a GPU's answer one has to wait.
        asked = (
            ("report_index", LABELLED) if isinstance(self.reports, EncodedReports) else (LABELLED,)
        )
        if before and after:
            after.update({name: before[name] for name in asked if name in before})
        return moved

    @override
    def training_step(self, batch: INPUT_BATCH, *args: Any, **kwargs: Any) -> STEP_OUTPUT:
        images, targets, metadata = batches.unpack(batch)
        if not self._lora_checked:
            self._check_lora(images, metadata)
        embeddings = self.backbone(images)
        outputs = self._apply_heads(embeddings)
        labelled, targets = batches.with_labels(outputs, targets, metadata)
        if len(labelled.fused):
            loss = classification = self._classify(labelled.fused, targets)
            self.log("train/classification_loss", classification.detach())
        else:
            loss = classification = 0 * outputs.fused.sum()  # every parameter has a gradient
        if self.reports is not None:
            distillation = self._distil(outputs, metadata)
            loss = classification + self._distill_weight * distillation
            at = embeddings if embeddings.requires_grad else outputs.projected
            if batches.logs_now(self) and len(labelled.fused):
                weighted = self._distill_weight * distillation
                ratio = self._gradients.compare(weighted, classification, at, self.global_step)
                self.log("train/distillation_gradient_ratio", ratio)
        return batches.step_output(loss, labelled, targets, metadata)

    @override
    def on_train_batch_end(self, outputs: STEP_OUTPUT, batch: INPUT_BATCH, batch_idx: int) -> None:
        if isinstance(outputs, Mapping) and len(outputs["predictions"]):  # else no label is known
            super().on_train_batch_end(outputs, batch, batch_idx)

    @override
    def validation_step(self, batch: INPUT_BATCH, *args: Any, **kwargs: Any) -> STEP_OUTPUT:
        distils = self._validation_distillation and self.reports is not None  # in `fit` alone
        return self._evaluation_step(batch, distils)

    @override
    def test_step(self, batch: INPUT_BATCH, *args: Any, **kwargs: Any) -> STEP_OUTPUT:
        return self._evaluation_step(batch)

    @override
    def predict_step(self, batch: INPUT_BATCH, *args: Any, **kwargs: Any) -> Any:
        images, _, _ = batches.unpack(batch)
        if self.heads is None:
            return images  # `predict_fit`: a callback reads the images, see `configure_model`
        outputs = self.branches(images)
        return {"fused": outputs.fused.squeeze(-1), "vision": outputs.vision.squeeze(-1)}

    def _trained_tensors(self) -> set[str]:
        """Returns the names of what a checkpoint holds: trainable tensors, and all of the heads'.

        LoRA on the vision head leaves weights there that are frozen, but come with no backbone.
        """
        trainable = {name for name, p in self.named_parameters() if p.requires_grad}
        return trainable | {name for name in self.state_dict() if name.startswith("heads.")}

    def _predicts_before_fit(self) -> bool:
        """Whether the module is asked to predict before any training."""
        trainer = compat.recorded_trainer(self)
        return trainer is not None and trainer.state.fn == TrainerFn.PREDICTING

    def _build_text_side(self) -> None:
        """Builds what training needs of the reports.

        Raises:
            InputError: The training data name rows of other reports than the model's, or see
                `build_reports` and the distillation loss.
        """
        datasets = getattr(getattr(self.trainer, "datamodule", None), "datasets", None)
        train = find_wrapper(getattr(datasets, "train", None), PairedDataset)
        source, texts = self._report_source, None
        if train is not None and source is not None:
            source.check_same(train.reports)
        self.reports = self._build_reports()
        if train is not None and source is not None:
            with torch.random.fork_rng(devices=[]):  # embedding what is not kept loads a model
                texts = training_texts(*train.pairs, source.embeddings())
        self.distillation = self._distillation(texts)

    def _build_reports(self) -> CachedReports | EncodedReports:
        """Builds the encoder of reports, or their embeddings."""
        given = self._report_source, self._text_features, self._lora
        reports = build_reports(*given, self._vision_targets, self._word_dropout)
        if self._gradient_checkpointing and self._lora.text and isinstance(reports, EncodedReports):
            enable_checkpointing(reports.encoder)
        return reports

    def _distil(self, outputs: HeadOutputs, metadata: Mapping[str, Any] | None) -> torch.Tensor:
        """Returns the distillation loss of a batch, without its weight; logs it in training."""
        with nullcontext() if self._text_gradient else torch.no_grad():
            text = self._paired_text(metadata)
        reports = batches.report_rows(metadata)
        loss = self.distillation or self._distillation(None)
        distillation = loss(outputs.projected, text, reports)
        if not self.training:
            return distillation
        self.log("train/distillation_loss", distillation.detach())
        if batches.logs_now(self):
            with torch.no_grad():
                of_mean = loss.of_mean_text(text, reports)
            if of_mean is not None:
                self.log("train/distillation_loss_of_mean_text", of_mean)
        return distillation

    def _check_lora(self, images: torch.Tensor, metadata: Mapping[str, Any] | None) -> None:
        """Raises InputError if a LoRA layer cannot change what its encoder computes."""
        self._lora_checked = True
        if self._lora.vision:
            lora.check_effect(self.backbone, lambda: self.backbone(images[:1]))
        if self._lora.text and isinstance(reports := self.reports, EncodedReports):
            rows = batches.report_rows(metadata)[:1]
            lora.check_effect(reports.encoder, lambda: reports(rows).flatten(1))

    def _classify(self, logits: torch.Tensor, targets: torch.Tensor | None) -> torch.Tensor:
        """Returns the classification loss of logits [B, C]."""
        logits = logits.squeeze(-1)
        if targets is not None:
            # Classes are indices, one logit's targets numbers: eva's datasets have either.
            targets = targets.long() if logits.ndim > 1 else targets.to(logits.dtype)
        return self.criterion(logits, targets)

    def _paired_text(self, metadata: Mapping[str, Any] | None) -> torch.Tensor:
        """Returns the embedding [B, t] of each sample's reports, weighted over its top k."""
        embeddings = self.reports(batches.report_rows(metadata))  # type: ignore[misc]
        weights = metadata["report_weight"].to(embeddings.dtype)  # type: ignore[index]
        return torch.einsum("bk,bkt->bt", weights, embeddings)

    def _evaluation_step(self, batch: INPUT_BATCH, distils: bool = False) -> STEP_OUTPUT:
        """Performs a validation or test step: no text, unless the loss is to have its term."""
        images, targets, metadata = batches.unpack(batch)
        outputs = self.branches(images)
        loss = self._classify(outputs.fused, targets)
        if distils:
            loss = loss + self._distill_weight * self._distil(outputs, metadata)
        return batches.step_output(loss, outputs, targets, metadata)
