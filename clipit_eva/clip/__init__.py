"""Image-text models: open_clip models by name or path, and CONCH."""

from clipit_eva import _lazy

__getattr__ = _lazy.attach(
    __name__,
    {
        "CLIPModel": "clipit_eva.clip.model",
        "CLIPPreprocess": "clipit_eva.clip.transforms",
        "load_clip": "clipit_eva.clip.loading",
    },
)
