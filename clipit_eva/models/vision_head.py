"""The vision head's start: from a unimodal run, trained in full or by LoRA."""

import dataclasses
import logging
from pathlib import Path

import torch
from peft.tuners.lora import LoraLayer
from torch import nn

from clipit_eva.errors import InputError
from clipit_eva.models import checkpoints, lora
from clipit_eva.models.heads import CLIPITHeads

_log = logging.getLogger(__name__)

FIELD = "VISION_HEAD_CHECKPOINT"

PREFIXES = ("head.", "heads.vision.")
"""Where eva's HeadModule and our CLIPITModule keep the vision head."""


def load_vision_head(head: nn.Module, path: str, run: str | None = None) -> Path:
    """Fills the vision head with that of a trained run, in place.

    One logit of a binary task becomes two, which differ by it: the probabilities stay.

    Args:
        head: The head, embeddings [B, d] -> logits [B, C]: a linear layer, or LoRA on one.
        path: A checkpoint (eva's format or ours), or the folder of a run or session.
        run: Name of the run's folder to choose in a session; one run's head may serve all.

    Returns:
        The checkpoint that was read.

    Raises:
        InputError: The checkpoint is missing, corrupt, or has no head of this shape.
    """
    linear = head.get_base_layer() if isinstance(head, LoraLayer) else head
    own = linear.get_parameter("weight")
    file = checkpoints.find_checkpoint(path, FIELD, run)
    state = checkpoints.read_checkpoint(file, FIELD)["state_dict"]
    prefix = next((prefix for prefix in PREFIXES if f"{prefix}weight" in state), None)
    if prefix is None:
        raise InputError(
            f"{FIELD}={file} has no linear vision head; give a unimodal run, or a CLIP-IT run "
            "whose vision head was trained in full"
        )
    weight, bias = state[f"{prefix}weight"], state.get(f"{prefix}bias")
    if bias is not None and (len(weight), len(own)) == (1, 2):
        weight, bias = (torch.cat([-part, part]) / 2 for part in (weight, bias))
    if weight.shape != own.shape or bias is None:
        raise InputError(
            f"{FIELD}={file} has a head of {tuple(weight.shape)}, but IN_FEATURES and the task "
            f"make {tuple(own.shape)} (classes, features); give a run of this task and "
            "backbone"
        )
    linear.load_state_dict({"weight": weight, "bias": bias})
    _log.info("%s starts from %s", run or "the vision head", file)
    return file


def adapt_vision_head(heads: CLIPITHeads, settings: lora.LoRASettings) -> None:
    """Freezes the vision head and puts LoRA on it, as the authors do, in place.

    The other heads stay trainable; the settings' targets are not read.
    """
    holder = nn.ModuleDict({"vision": heads.vision})
    lora.inject_lora(holder, dataclasses.replace(settings, targets=("vision",)))
    heads.vision = holder["vision"]  # type: ignore[assignment]
