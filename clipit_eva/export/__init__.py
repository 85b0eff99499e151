"""A trained run as one plain vision classifier: safetensors for timm, or ONNX."""

from clipit_eva import _lazy

__getattr__ = _lazy.attach(
    __name__,
    {
        "ExportedModule": "clipit_eva.export.module",
        "export_run": "clipit_eva.export.command",
        "load_classifier": "clipit_eva.export.classifier_files",
    },
)
