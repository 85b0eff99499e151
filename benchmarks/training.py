"""Time and memory of CLIP-IT's training step against training the vision model alone.

Run: python benchmarks/training.py

The step is the real `CLIPITModule.training_step`, with backward pass, clipping and optimizer. The
vision model alone is the same backbone with the same LoRA, a linear head, cross-entropy and the
same optimizer. Encoders have random weights: ViT-S/16 at 224 pixels, and a text tower of 12 layers,
width 768 and context 128, which the reports fill, as most of TCGA's do.
"""

import dataclasses
import tempfile
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import _common
import _models
import torch
from torch import nn
from torch.nn import functional

from clipit_eva.models import CLIPITModule, LoRASettings
from clipit_eva.models.heads import LinearHead
from clipit_eva.models.lora import inject_lora
from clipit_eva.models.report_features import CachedReports
from clipit_eva.models.training import use_fused_kernel

CLASSES = 4
FROZEN_LIMIT = 1.05
TEXT_LORA_LIMIT = 1.6
DISTINCT_LIMIT = 0.65
MEMORY_LIMIT = 1.05
OPTIMIZER = partial(torch.optim.Adam, lr=1e-3, weight_decay=1e-4)

Step = Callable[[], object]


@dataclasses.dataclass(frozen=True)
class Setting:
    """What a step is measured with."""

    backbone: str = "vit_small_patch16_224"
    depth: int = 12
    """Blocks of the backbone, and layers of the text tower."""

    batch: int = 16
    distinct: int = 16
    reports: int = 10_000
    device: str = "cpu"
    bfloat16: bool = False


class VisionOnly(nn.Module):
    """The same backbone with LoRA and a linear head."""

    def __init__(self, setting: Setting) -> None:
        super().__init__()
        self.backbone = _models.make_backbone(setting.backbone, setting.depth)
        inject_lora(self.backbone, LoRASettings())
        self.backbone.eval()
        self.head = LinearHead(self.backbone.num_features, CLASSES)  # type: ignore[arg-type]

    def training_step(self, batch: Any) -> dict[str, torch.Tensor]:
        """Returns the loss."""
        images, targets, _ = batch
        return {"loss": functional.cross_entropy(self.head(self.backbone(images)), targets)}


class EveryRow(nn.Module):
    """Report embeddings the plain way: each row of the batch is encoded, in full length."""

    def __init__(self, reports: Any, tokens: torch.Tensor) -> None:
        super().__init__()
        self.encoder = reports.encoder
        self.register_buffer("tokens", tokens)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Returns the embeddings [..., t] of report rows [...]."""
        rows = rows.to(self.tokens.device)
        return self.encoder(self.tokens[rows.flatten()]).unflatten(0, rows.shape)


def measure(options: _common.Options) -> Iterator[_common.Result]:
    """Measures time and memory of all cases."""
    device, repeats = options.device, 5 if options.quick else 11
    yield from frozen(Setting(device=device), repeats)
    sizes = (1000, 10_000, 100_000)
    yield from frozen_growth([Setting(device=device, reports=size) for size in sizes], repeats)
    yield from text_lora(Setting(batch=64, distinct=12, device=device), 3 if options.quick else 7)
    if device == "cuda" and not options.quick:
        large = Setting("vit_large_patch16_224", 24, device=device, bfloat16=True)
        for batch in (64, 128, 256):
            setting = dataclasses.replace(large, batch=batch, distinct=12)
            yield from frozen(setting, repeats)
            yield from text_lora(setting, repeats)


def frozen(setting: Setting, repeats: int) -> Iterator[_common.Result]:
    """Compares the step with cached embeddings of frozen text: time and memory."""
    name = f"{setting.backbone}, batch {setting.batch}"
    details = dataclasses.asdict(setting)
    steps = {"clip_it": clip_it(setting), "vision": vision_only(setting)}
    seconds = _common.time_in_turns(steps, repeats, setting.device)
    quantity = f"frozen-text step / vision-only LoRA step ({name})"
    yield _common.ratio(quantity, seconds, "clip_it", "vision", FROZEN_LIMIT, **details)
    peaks = {name: peak(step, setting.device) for name, step in steps.items()}
    yield _common.Result(
        f"peak memory: frozen-text step / vision-only LoRA step ({name})",
        round(peaks["clip_it"] / peaks["vision"], 4),
        limit=MEMORY_LIMIT,
        details={**details, **{f"{name} [MiB]": b >> 20 for name, b in peaks.items()}},
    )


def frozen_growth(settings: list[Setting], repeats: int) -> Iterator[_common.Result]:
    """Compares the step with cached embeddings of ever more reports with that of the fewest."""
    steps: dict[str, Step] = {str(s.reports): clip_it(s) for s in settings}
    least, *more = settings
    seconds = _common.time_in_turns(steps, repeats, least.device)
    for setting in more:
        yield _common.ratio(
            f"frozen-text step: {setting.reports} reports / {least.reports} reports",
            seconds,
            str(setting.reports),
            str(least.reports),
            **dataclasses.asdict(setting),
        )


def text_lora(setting: Setting, repeats: int) -> Iterator[_common.Result]:
    """Compares the step with text LoRA, and with every row encoded."""
    steps = {
        "text LoRA": clip_it(setting, text_lora=True),
        "vision": vision_only(setting),
        "every row": clip_it(setting, text_lora=True, every_row=True),
    }
    seconds = _common.time_in_turns(steps, repeats, setting.device)
    case = (
        f"text LoRA step, {setting.batch} images on {setting.distinct} reports ({setting.backbone})"
    )
    for other, under, limit in [
        ("vision-only LoRA step", "vision", TEXT_LORA_LIMIT),
        ("encoding every row", "every row", DISTINCT_LIMIT),
    ]:
        quantity, details = f"{case} / {other}", dataclasses.asdict(setting)
        yield _common.ratio(quantity, seconds, "text LoRA", under, limit, **details)


def clip_it(setting: Setting, text_lora: bool = False, every_row: bool = False) -> Step:
    """Returns CLIP-IT's training step with the optimizer's."""
    module = CLIPITModule(
        _models.make_backbone(setting.backbone, setting.depth),
        in_features=_models.FEATURES[setting.backbone],
        num_classes=CLASSES,
        lora=LoRASettings(text=text_lora),
        optimizer=OPTIMIZER,
    )
    module.configure_model()
    module.log = lambda *_, **__: None  # type: ignore[method-assign] # no trainer here
    torch.manual_seed(1)
    if text_lora:
        module.reports, tokens = _build_reports(module, setting)
        if every_row:
            module.reports = EveryRow(module.reports, tokens)  # type: ignore[assignment]
    else:
        embeddings = torch.randn(setting.reports, _models.EMBED_DIM)
        module.reports = CachedReports(functional.normalize(embeddings).numpy())
    module.train()
    return _step(module, setting)


def vision_only(setting: Setting) -> Step:
    """Returns the training step of the vision model alone."""
    return _step(VisionOnly(setting), setting)


def peak(step: Step, device: str) -> int:
    """Returns the most memory of a step: what its model always holds, and what comes on top."""
    return step.keywords["held"] + _common.peak_bytes(step, device)  # type: ignore[attr-defined]


def _step(module: Any, setting: Setting) -> Step:
    """Returns a function that performs one step of the optimizer."""
    module.to(setting.device)
    parameters = [p for p in module.parameters() if p.requires_grad]
    optimizer = OPTIMIZER(parameters)
    use_fused_kernel(optimizer)
    batch = _models.make_batch(setting.batch, setting.distinct, CLASSES, setting.device)
    run = partial(_run, module, optimizer, parameters, batch, setting.bfloat16)
    run(held=0)  # the optimizer's state is there from the first step on
    tensors = [*module.parameters(), *module.buffers()]
    tensors += [value for state in optimizer.state.values() for value in state.values()]
    held = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}
    return partial(run, held=sum(held.values()))


def _run(
    module: Any, optimizer: Any, parameters: list[Any], batch: Any, bfloat16: bool, held: int
) -> None:
    """Performs one step of the optimizer."""
    kind = parameters[0].device.type
    with torch.autocast(kind, torch.bfloat16) if bfloat16 else nullcontext():
        loss = module.training_step(batch)["loss"]
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(parameters, 0.5)
    optimizer.step()


def _build_reports(module: Any, setting: Setting) -> tuple[nn.Module, torch.Tensor]:
    """Returns the text side as the module builds it, and all reports' token ids."""
    with tempfile.TemporaryDirectory() as folder:
        source = _models.write_reports(Path(folder), setting.distinct, setting.depth)
        module._report_source = source
        tokens = source.load_clip().tokenize(source.corpus().texts)
        return module._build_reports(), tokens


if __name__ == "__main__":
    _common.main(__doc__, measure)
