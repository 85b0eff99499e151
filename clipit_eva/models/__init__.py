"""The CLIP-IT model: module, heads, LoRA, losses, and how training aligns images with text."""

from clipit_eva import _lazy

__getattr__ = _lazy.attach(
    __name__,
    {
        "AlignmentWriter": "clipit_eva.models.alignment",
        "CLIPITModule": "clipit_eva.models.clipit_module",
        "LinearHead": "clipit_eva.models.heads",
        "LoRASettings": "clipit_eva.models.lora",
        "SoftmaxCrossEntropyLoss": "clipit_eva.models.losses",
        "TextHead": "clipit_eva.models.heads",
        "TrainedCLIPITModule": "clipit_eva.models.trained",
        "authors_text_schedule": "clipit_eva.models.training",
        "positive_probability": "clipit_eva.models.training_batches",
    },
)
