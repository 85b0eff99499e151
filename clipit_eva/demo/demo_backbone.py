"""The demo's vision backbone: a small ViT that eva knows as `clipit_eva/demo_vit`."""

from pathlib import Path

from safetensors.torch import load_file
from timm.models.vision_transformer import VisionTransformer

from clipit_eva.tasks.synthetic import FEATURES, IMAGE_SIZE

WEIGHTS = Path(__file__).parent / "weights" / "demo_vit.safetensors"
"""Made by `train_clip`, without any class label."""


def untrained() -> VisionTransformer:
    """Returns the architecture with random weights, drawn from torch's global generator."""
    return VisionTransformer(
        img_size=IMAGE_SIZE,
        patch_size=8,
        embed_dim=FEATURES,
        depth=3,
        num_heads=3,
        num_classes=0,
        dynamic_img_size=True,
    )


def demo_vit() -> VisionTransformer:
    """Returns the demo's backbone: images [B, 3, H, W] -> features [B, FEATURES].

    Its weights are mediocre on purpose: they come from predicting statistics of colour and grain,
    so that there is something left to learn. Images are expected with mean 0.5 and standard
    deviation 0.5 a channel; any size that is a multiple of 8 pixels is accepted.
    """
    model = untrained()
    model.load_state_dict(load_file(WEIGHTS))
    return model
