"""A vision backbone whose embeddings are on disk."""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

from clipit_eva import files
from clipit_eva.errors import InputError
from clipit_eva.eva import backbones, mistakes


class EmbeddedBackbone(nn.Module):
    """Stands for a frozen backbone of eva's registry where embeddings take the images' place.

    Has no weights: it hands embeddings on. What was loaded when they were computed is recorded
    beside them, so that a checkpoint trained on them fits the backbone itself.
    """

    def __init__(
        self,
        model_name: str,
        model_extra_kwargs: dict[str, Any] | None = None,
        embeddings_root: str = "./data/embeddings",
    ) -> None:
        """Initializes the stand-in; nothing is read.

        Args:
            model_name: The backbone's name in eva's registry.
            model_extra_kwargs: Arguments that it is made with.
            embeddings_root: Folder of embeddings that are computed once.
        """
        super().__init__()
        self.root = Path(embeddings_root)
        self.identity: dict[str, Any] = {
            "model_name": model_name,
            "model_extra_kwargs": model_extra_kwargs or {},
        }

    @property
    def name(self) -> str:
        """The backbone's name in eva's registry."""
        return self.identity["model_name"]

    def load(self) -> nn.Module:
        """Loads the backbone itself, frozen: images [B, 3, H, W] -> embeddings [B, d].

        Raises:
            InputError: It cannot be made by its name and arguments.
        """
        from eva.vision.models import ModelFromRegistry

        with mistakes.construction(ModelFromRegistry, self.identity):
            model = ModelFromRegistry(**self.identity)
        return model.requires_grad_(False).eval()

    def width(self) -> int:
        """Returns the width of the embeddings on disk; 1 if there are none, as is told later."""
        return (self.record() or {}).get("width", 1)

    def normalisation(self) -> backbones.Colours | None:
        """Returns what images are normalised by: what the name, the record or the backbone says."""
        if (known := backbones.known_normalisation(self.name)) is not None:
            return known
        record = self.record()
        if record is not None:
            mean, std = record.get("normalisation", (None, None))
            return None if mean is None else (tuple(mean), tuple(std))
        with torch.random.fork_rng(devices=[]):
            return backbones.normalisation(self.load())

    @property
    def record_file(self) -> Path:
        """Where the digest of the weights is kept that embedded last under this name."""
        text = json.dumps(self.identity, sort_keys=True)
        return self.root / f"backbone-{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"

    def record(self) -> dict[str, Any] | None:
        """Returns `weights` (digest) and `width` of the backbone that embedded last.

        None if none has, or the record is damaged.
        """
        try:
            found = json.loads(self.record_file.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return None
        whole = isinstance(found, dict) and {"weights", "width"} <= found.keys()
        return found if whole else None

    def keep_record(
        self, weights: str, width: int, normalisation: backbones.Colours | None = None
    ) -> None:
        """Records what embeds now: the weights' digest, the embedding's width, normalisation."""
        record = {**self.identity, "weights": weights, "width": width}
        if normalisation is not None:
            record["normalisation"] = [list(part) for part in normalisation]
        if record != self.record():
            with files.atomic_path(self.record_file) as path:
                path.write_text(json.dumps(record, indent=1), encoding="utf-8")

    def forward(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Hands embeddings [B, d] on.

        Raises:
            InputError: It is given something else, such as images.
        """
        if embeddings.ndim != 2:
            raise InputError(
                f"EmbeddedBackbone takes embeddings [B, d], not {tuple(embeddings.shape)}; use "
                "EmbeddedDataset around the images, or eva's ModelFromRegistry as the backbone"
            )
        return embeddings


def weights_digest(module: nn.Module) -> str:
    """Returns the SHA-256 hex digest of a module's parameters and buffers, names included.

    Of a backbone whose embeddings are on disk, that of the backbone that made them.

    Raises:
        InputError: There are no embeddings by this backbone.
    """
    if isinstance(module, EmbeddedBackbone):
        record = module.record()
        if record is None:
            raise InputError(
                f"EMBEDDINGS_ROOT={module.root} has no embeddings by {module.name}; run the "
                "embeddings config first"
            )
        return record["weights"]
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)};".encode())
        data = tensor.detach().cpu().contiguous().flatten().view(torch.uint8)
        digest.update(data.numpy().data)
    return digest.hexdigest()
