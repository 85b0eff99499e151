"""The trained module of a run, on the backbone that it was trained on."""

import copy
import dataclasses

import torch
from torch import nn

from clipit_eva.errors import InputError
from clipit_eva.eva import activation, backbones
from clipit_eva.eva.recorded_config import RecordedConfig
from clipit_eva.export.construction import build
from clipit_eva.export.fused_heads import fuse_heads
from clipit_eva.export.run import FinishedRun
from clipit_eva.models import checkpoints, lora
from clipit_eva.models.trained import TrainedCLIPITModule


@dataclasses.dataclass
class TrainedRun:
    """A run's model, as it was trained.

    Attributes:
        backbone: Images [B, 3, H, W] -> embeddings [B, d], with LoRA if the run had it.
        heads: CLIP-IT's heads, or the linear head of a unimodal run.
        branch: What is exported of the heads: `fused` or `vision`; of a unimodal run, `vision`.
    """

    backbone: nn.Module
    heads: nn.Module
    branch: str

    @torch.inference_mode()
    def logits(self, images: torch.Tensor) -> torch.Tensor:
        """Returns what the trained module says of images [B, 3, H, W]: logits [B, C]."""
        outputs = self.heads(self.backbone(images))
        return outputs if isinstance(outputs, torch.Tensor) else getattr(outputs, self.branch)

    def plain(self) -> tuple[nn.Module, nn.Sequential]:
        """Returns the backbone and the head without LoRA; the run's own stay as they are."""
        backbone = copy.deepcopy(self.backbone)
        merge_lora(backbone)
        heads = copy.deepcopy(self.heads)
        if isinstance(heads, nn.Linear):
            return backbone, nn.Sequential(heads)
        merge_lora(heads)
        return backbone, fuse_heads(heads, self.branch)  # type: ignore[arg-type]


def load_run(run: FinishedRun, branch: str) -> TrainedRun:
    """Returns a run's model with the weights of its checkpoint, in evaluation mode.

    A unimodal run has the `vision` branch alone, under either name.

    Raises:
        InputError: The run reads no images or has another head than those of this project's
            configs, or its backbone cannot be loaded.
    """
    model = run.config.part("model")
    kind = model.class_name
    if kind not in ("CLIPITModule", "HeadModule"):
        raise InputError(f"RUN={run.folder} is of {kind}; give a CLIP-IT or unimodal run")
    if model.get("backbone") is None:
        raise InputError(
            f"RUN={run.folder} has no vision backbone: it classifies reports or embeddings; "
            "give a CLIP-IT or unimodal run"
        )
    backbone = _load_backbone(run.config, run.provenance["seed"])
    if kind == "CLIPITModule":
        module = TrainedCLIPITModule(backbone, str(run.checkpoint))
        module.configure_model()
        trained = TrainedRun(module.backbone, module.heads, branch)  # type: ignore[arg-type]
    else:
        trained = TrainedRun(backbone, _load_head(run), "vision")
    trained.backbone.float().eval()
    trained.heads.float().eval()
    return trained


@torch.no_grad()
def merge_lora(module: nn.Module) -> None:
    """Adds each LoRA update below a module to its layer's weight, and puts the plain layer back.

    In place, in float32: in lower precision the rounding would change what the model says.
    """
    module.float()
    # Those around others first: attention takes the layer inside it along.
    for name in list(lora.lora_layers(module)):
        layer = lora.lora_layers(module).get(name)
        if layer is None:
            continue
        unload = getattr(layer, "unload_and_optionally_merge_module", None)
        if unload is None:
            layer.merge()
            plain = layer.get_base_layer()
        else:
            plain = unload(merge=True, safe_merge=False, adapter_names=None)
        module.set_submodule(name, plain)


def _load_backbone(config: RecordedConfig, seed: int | None) -> nn.Module:
    """Returns a run's backbone, frozen weights included."""
    activation.register_backbones()
    description = config.part("model.backbone")
    if isinstance(name := description.get("model_name"), str):
        backbones.check_trusted(name)
        backbones.make_known(name, description.get("model_extra_kwargs") or {})
    try:
        with torch.random.fork_rng(devices=[]):
            # eva seeds its process before it makes the backbone: random weights come out the same.
            torch.manual_seed(seed or 0)
            return build(description.value)
    except InputError:
        raise
    except Exception as error:  # a registry, a hub or a file may fail in any way
        lines = str(error).strip().splitlines() or [""]
        raise InputError(
            f"the backbone {config.backbone} cannot be loaded ({type(error).__name__}: "
            f"{lines[0][:200]}); make its weights available as for training (HF_TOKEN, network or "
            "cache)"
        ) from error


def _load_head(run: FinishedRun) -> nn.Linear:
    state = checkpoints.read_checkpoint(run.checkpoint, "RUN")["state_dict"]
    weights = {name.removeprefix("head."): tensor for name, tensor in state.items()}
    if not {"weight"} <= set(weights) <= {"weight", "bias"} or weights["weight"].ndim != 2:
        raise InputError(f"RUN={run.folder} has a head that is not one linear layer")
    outputs, features = weights["weight"].shape
    head = nn.Linear(features, outputs, bias="bias" in weights)
    head.load_state_dict(weights)
    return head
