"""The CLIP-IT model: module, heads, LoRA, losses."""

from clipit_eva import _lazy

__getattr__ = _lazy.attach(
    __name__,
    {
        "CLIPITModule": "clipit_eva.models.clipit_module",
        "LinearHead": "clipit_eva.models.heads",
        "LoRASettings": "clipit_eva.models.lora",
        "SoftmaxCrossEntropyLoss": "clipit_eva.models.losses",
        "TextHead": "clipit_eva.models.heads",
        "TrainedCLIPITModule": "clipit_eva.models.trained",
    },
)
