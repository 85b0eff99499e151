"""A backbone as arguments of `timm.create_model`."""

from collections.abc import Mapping
from typing import Any

import timm
import torch
from eva.core.models.transforms import ExtractCLSFeatures
from eva.core.models.wrappers import base
from timm.models.vision_transformer import Block, VisionTransformer
from torch import nn

from clipit_eva.errors import InputError
from clipit_eva.eva import compat

CARRIERS = ("vit_base_patch16_224", "vit_base_patch16_clip_224", "vit_giant_patch14_dinov2")
"""Vision transformers whose kinds of layer (not sizes) a backbone may share, where those of its own
name differ: UNI 2 and Virchow 2 are given classes of layers, which are no text."""

_REGULARISERS = (nn.Dropout, nn.Identity, timm.layers.DropPath, timm.layers.PatchDropout)


def unwrap(backbone: nn.Module) -> tuple[nn.Module, dict[str, Any]]:
    """Returns the timm model that a backbone is or wraps, and arguments that do the wrapper's work.

    Raises:
        InputError: The backbone is not by timm, or does more than a timm model can.
    """
    model, output = backbone, None
    while isinstance(model, base.BaseModel):
        output = output or compat.output_transform(model)
        model: Any = model.model
    kind = f"{type(model).__module__}.{type(model).__qualname__}"
    if not isinstance(model, nn.Module) or not kind.startswith("timm.models."):
        raise InputError(
            f"the run's backbone is a {kind}; export knows models by timm, such as eva's "
            "universal/*, timm/*, kaiko_vit*, mahmood_uni*, prov_gigapath, lunit_*, paige_virchow2"
        )
    if output is None:
        return model, {}
    if not (isinstance(output, ExtractCLSFeatures) and compat.takes_class_token_only(output)):
        raise InputError(
            f"the run's backbone ends in {type(output).__name__}; export knows those that give "
            "timm's own output or the class token"
        )
    return model, {"global_pool": "token"}


def describe_backbone(model: nn.Module) -> dict[str, Any]:
    """Returns arguments with which `timm.create_model` makes the layers of a model, untrained.

    Raises:
        InputError: No architecture that timm has by name makes these layers.
    """
    own = getattr(model, "pretrained_cfg", None) or {}
    names = [own.get("architecture"), *(CARRIERS if type(model) is VisionTransformer else ())]
    for name in filter(timm.is_model, filter(None, names)):
        arguments = {"model_name": name, "pretrained": False, "num_classes": 0}
        made = _outline(arguments)
        if isinstance(model, VisionTransformer) and isinstance(made, VisionTransformer):
            theirs = _vit_arguments(made)
            different = {k: v for k, v in _vit_arguments(model).items() if v != theirs.get(k)}
            made = _outline(arguments := {**arguments, **different})
        if made is not None and _layers(made) == _layers(model):
            return arguments
    raise InputError(
        f"timm makes no {type(model).__name__} like the run's backbone by name and sizes; export "
        "knows timm's architectures and vision transformers of other sizes"
    )


def _outline(arguments: Mapping[str, Any]) -> nn.Module | None:
    """Returns a timm model without memory for its weights, or None if it cannot be made."""
    try:
        with torch.device("meta"):
            return timm.create_model(**arguments)
    except (TypeError, ValueError, AssertionError, RuntimeError):
        return None


def _vit_arguments(model: VisionTransformer) -> dict[str, Any]:
    """Returns the arguments of a vision transformer that are numbers or text."""
    patches: Any = model.patch_embed
    return {
        "img_size": _plain(patches.img_size),
        "patch_size": _plain(patches.patch_size),
        "in_chans": patches.proj.in_channels,
        "embed_dim": model.embed_dim,
        "depth": len(model.blocks),
        "class_token": model.has_class_token,
        "reg_tokens": model.num_reg_tokens,
        "no_embed_class": model.no_embed_class,
        "pos_embed": "learn" if model.pos_embed is not None else "none",
        "pre_norm": not isinstance(model.norm_pre, nn.Identity),
        "final_norm": not all(isinstance(n, nn.Identity) for n in (model.norm, model.fc_norm)),
        "fc_norm": not isinstance(model.fc_norm, nn.Identity),
        "global_pool": model.global_pool,
        "dynamic_img_size": model.dynamic_img_size,
        "dynamic_img_pad": patches.dynamic_img_pad,
        **_block_arguments(model),
    }


def _block_arguments(model: VisionTransformer) -> dict[str, Any]:
    """Returns the arguments of a vision transformer's blocks, if they are of the usual kind."""
    if type(model.blocks[0]) is not Block:
        return {}
    block: Any = model.blocks[0]
    hidden, width = block.mlp.fc1.out_features, model.embed_dim
    ratio = hidden / width
    return {
        "num_heads": block.attn.num_heads,
        # timm rounds the product down: half a unit more where the division's rounding would tell.
        "mlp_ratio": ratio if int(width * ratio) == hidden else (hidden + 0.5) / width,
        "qkv_bias": block.attn.qkv.bias is not None,
        "qk_norm": not isinstance(block.attn.q_norm, nn.Identity),
        "init_values": None if isinstance(block.ls1, nn.Identity) else 1e-5,
    }


def _plain(size: tuple[int, int]) -> int | list[int]:
    """Returns a size as one number if it is square."""
    return size[0] if size[0] == size[1] else list(size)


def _layers(model: nn.Module) -> list[tuple[str, str, str]]:
    """Returns class and settings of the layers that act in evaluation mode, and weights' shapes."""
    layers = [
        (name, type(module).__qualname__, module.extra_repr())
        for name, module in model.named_modules()
        if not isinstance(module, _REGULARISERS)
    ]
    state = model.state_dict().items()
    return layers + [(name, "tensor", str(tuple(tensor.shape))) for name, tensor in state]
