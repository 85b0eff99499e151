"""The files of an exported classifier."""

import importlib.util
import json
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from clipit_eva.errors import InputError
from clipit_eva.export.fused_heads import build_head
from clipit_eva.export.preprocessing import image_size

METADATA_KEY = "clipit_eva"
"""Key of the metadata, JSON, in either format."""

_ONNX_LIMIT = 2 * 1024**3 - 2**20


def check_format(path: Path) -> None:
    """Raises InputError unless a file's suffix names a format that can be written here."""
    if path.suffix not in (".safetensors", ".onnx"):
        raise InputError(f"--output {path} must end in .safetensors or .onnx")
    missing = [p for p in ("onnx", "onnxscript", "onnxruntime") if not importlib.util.find_spec(p)]
    if path.suffix == ".onnx" and missing:
        raise InputError(
            f"--output {path} needs the package {missing[0]}; pip install 'clipit-eva[export]'"
        )


def build_classifier(about: Mapping[str, Any]) -> nn.Sequential:
    """Returns the untrained classifier that metadata describes: images -> logits [B, C]."""
    parts = {"backbone": timm.create_model(**about["backbone"]), "head": build_head(about["head"])}
    return nn.Sequential(OrderedDict(parts))


def write_classifier(classifier: nn.Sequential, about: Mapping[str, Any], path: Path) -> None:
    """Writes a classifier in evaluation mode with its metadata, in the format of the suffix.

    Raises:
        InputError: The classifier is too large for the format.
    """
    if path.suffix == ".onnx":
        _write_onnx(classifier, about, path)
        return
    weights = {name: tensor.contiguous() for name, tensor in classifier.state_dict().items()}
    save_file(weights, path, metadata={METADATA_KEY: json.dumps(about)})


def load_classifier(path: str | Path) -> tuple[nn.Module, dict[str, Any]]:
    """Returns the classifier in a file of `clipit-eva export`, and its metadata.

    It takes preprocessed images [B, 3, H, W], float32, and gives logits [B, C], in evaluation mode.

    Raises:
        InputError: The file is missing, damaged, or not of `clipit-eva export`.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"exported model {path} does not exist; check the path")
    try:
        if path.suffix == ".onnx":
            classifier = ONNXClassifier(path)
            return classifier.eval(), classifier.about
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {})[METADATA_KEY])
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no dict)
        classifier = build_classifier(about)
        classifier.load_state_dict(weights)
        return classifier.eval(), about
    except Exception as error:  # damaged bytes make parsers fail in any way
        raise InputError(
            f"{path} is not a whole file of `clipit-eva export` ({type(error).__name__})"
        ) from error


class ONNXClassifier(nn.Module):
    """An exported ONNX file, run by onnxruntime on the CPU, or on CUDA where it has that."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        import onnxruntime

        known = set(onnxruntime.get_available_providers())
        providers = ["CUDAExecutionProvider", "CPUExecutionProvider"]
        options = onnxruntime.SessionOptions()
        # Threads that wait must not keep the cores from what loads the next batch.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(
            path, options, providers=[*filter(known.__contains__, providers)]
        )
        metadata = self._session.get_modelmeta().custom_metadata_map
        self.about: dict[str, Any] = json.loads(metadata[METADATA_KEY])

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Returns the logits [B, C] of images [B, 3, H, W], float32."""
        (logits,) = self._session.run(None, {"images": images.detach().cpu().numpy()})
        return torch.from_numpy(logits).to(images.device)


def _write_onnx(classifier: nn.Sequential, about: Mapping[str, Any], path: Path) -> None:
    size = sum(tensor.nbytes for tensor in classifier.state_dict().values())
    if size > _ONNX_LIMIT:
        raise InputError(
            f"the classifier has {size / 1024**3:.1f} GiB, and a .onnx file holds 2; export "
            "it as .safetensors"
        )
    height, width = image_size(about["preprocessing"])
    # At a fixed size: positions are resampled once, here, and not in the graph.
    fixed = build_classifier(about)
    fixed.load_state_dict(classifier.state_dict())
    backbone: Any = fixed[0]
    if hasattr(backbone, "set_input_size"):
        backbone.set_input_size((height, width))
    program: Any = torch.onnx.export(
        fixed.eval(),
        (torch.zeros(2, 3, height, width),),
        input_names=["images"],
        output_names=["logits"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        dynamo=True,
        verbose=False,
    )
    program.model.metadata_props[METADATA_KEY] = json.dumps(about)
    program.save(path, external_data=False)
