"""Models of the Hugging Face CLIP layout (transformers' `CLIPModel`), such as PLIP."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
import transformers
from open_clip import transform
from PIL import Image
from torch import nn

from clipit_eva.clip import hub, weights
from clipit_eva.clip.encoders import assemble, check_vocabulary, evaluation_transform
from clipit_eva.clip.model import CLIPModel
from clipit_eva.clip.open_clip_models import Tokenize
from clipit_eva.clip.registry import NamedModel
from clipit_eva.errors import InputError
from clipit_eva.files import sha256_file

CONFIG_FILE = "config.json"
"""The file that makes a folder or a hub repository a transformers model."""

WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")
"""transformers' names of a model's weights, the preferred one first."""

PLIP_REPOSITORY = "vinid/plip"
"""PLIP (Huang et al., Nature Medicine 2023, doi:10.1038/s41591-023-02504-3)."""

_PREPROCESSING_FILE = "preprocessor_config.json"
_INTERPOLATION = {2: "bilinear", 3: "bicubic"}  # PIL's numbers


class HFTower(nn.Module):
    """A transformers tower and its projection into the common space."""

    def __init__(self, model: nn.Module, projection: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.projection = projection

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Returns the embeddings [B, embed_dim] of images [B, 3, H, W] or token ids [B, L]."""
        return self.projection(self.model(inputs).pooler_output)


class HFTokenize(Tokenize):
    """A transformers tokenizer with a fixed context length."""

    def __init__(self, source: str, context_length: int) -> None:
        """Reads the tokenizer of a folder or a hub repository.

        Raises:
            InputError: There is no tokenizer, or it has no padding token.
        """
        try:
            tokenizer: Any = transformers.AutoTokenizer.from_pretrained(source)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"tokenizer {source} cannot be loaded ({error}); mend its files"
            ) from error
        if tokenizer.pad_token_id is None:
            raise InputError(f"tokenizer {source} has no padding token")
        super().__init__(tokenizer, context_length)
        self.pad_id = tokenizer.pad_token_id

    def __len__(self) -> int:
        return len(self._tokenizer)

    def _encode(self, texts: list[str]) -> torch.Tensor:
        """Returns the token ids of one or more texts."""
        options: dict[str, Any] = {"padding": "max_length", "truncation": True}
        encoded = self._tokenizer(texts, max_length=self.context_length, **options)
        return torch.tensor(encoded["input_ids"], dtype=torch.int64)


def from_hub(repository: str, name: str) -> NamedModel:
    """Returns a model of a hub repository, of which nothing is downloaded yet."""

    def folder() -> Path:  # with the configuration and the tokenizer
        return hub.download_folder(repository, ["*.json", "*.txt"], needed=_PREPROCESSING_FILE)

    return NamedModel(
        load=lambda checkpoint, tokenizer: load(
            name, folder(), checkpoint, tokenizer, repository=repository
        ),
        preprocess=lambda _: build_preprocess(folder()),
    )


def from_folder(folder: Path) -> NamedModel:
    """Returns a model of a local folder, of which nothing is read yet."""
    return NamedModel(
        load=partial(load, folder.resolve().name, folder),
        preprocess=lambda _: build_preprocess(folder),
    )


def load(
    name: str,
    folder: Path,
    checkpoint: str | None,
    tokenizer: str | None,
    *,
    repository: str | None = None,
) -> CLIPModel:
    """Loads both towers of a model: CPU, float32, evaluation mode, frozen.

    The folder has the configuration and the tokenizer, and the weights where no repository is
    given; `checkpoint` and `tokenizer` (a folder or repository) are read instead of the model's.

    Raises:
        InputError: The files cannot be had or do not fit together.
    """
    config = _read_config(folder)
    if checkpoint is None:
        path = weights.find_weights(repository or folder, WEIGHT_FILES)
    else:
        path = Path(checkpoint)
    model = _load_model(config, path)
    tokenize = HFTokenize(tokenizer or str(folder), config.text_config.max_position_embeddings)
    known = config.text_config.vocab_size
    check_vocabulary(tokenizer or folder, len(tokenize), name, known)
    visual = HFTower(model.vision_model, model.visual_projection)
    text = HFTower(model.text_model, model.text_projection)
    return assemble(
        name,
        (visual, text),
        tokenize,
        build_preprocess(folder),
        architecture=sha256_file(folder / CONFIG_FILE),
        embed_dim=config.projection_dim,
    )


def build_preprocess(folder: Path) -> Callable[[Image.Image], torch.Tensor]:
    """Returns a model's preprocessing of PIL images, from the `preprocessor_config.json` there.

    transformers' own class changed its resampling between versions, from PIL's to torchvision's;
    the models were trained with PIL's.

    Raises:
        InputError: The file is missing, or asks for something else than CLIP's: resize the
            shorter side, crop the centre to a square, normalise.
    """
    path = folder / _PREPROCESSING_FILE
    settings = weights.read_json(path)
    size, crop = settings.get("size"), settings.get("crop_size")
    edge = size.get("shortest_edge") if isinstance(size, Mapping) else size
    crops = set(crop.values()) if isinstance(crop, Mapping) else {crop}
    steps = ("do_resize", "do_center_crop", "do_normalize", "do_rescale")
    interpolation = _INTERPOLATION.get(settings.get("resample", 3))
    if (
        not isinstance(edge, int)
        or crops != {edge}
        or interpolation is None
        or not all(settings.get(step, True) for step in steps)
        or not {"image_mean", "image_std"} <= settings.keys()
    ):
        raise InputError(f"{path} is not CLIP's preprocessing (resize, centre crop, normalise)")
    preprocessing = transform.PreprocessCfg(
        size=edge,
        mean=tuple(settings["image_mean"]),
        std=tuple(settings["image_std"]),
        interpolation=interpolation,
    )
    return evaluation_transform(preprocessing)


def _load_model(config: Any, path: Path) -> Any:
    """Builds the model and fills it strictly."""
    state = weights.read_state_dict(path)
    with torch.random.fork_rng(devices=[]):  # initial weights that are overwritten below
        model = transformers.CLIPModel(config)
    names = ("vision_model", "visual_projection", "text_model", "text_projection")
    towers = nn.ModuleDict({name: model.get_submodule(name) for name in names})
    weights.load_strictly(towers, state, f"checkpoint {path}")
    return model


def _read_config(folder: Path) -> Any:
    """Reads transformers' config of a CLIP model."""
    config = weights.read_json(folder / CONFIG_FILE)
    if config.get("model_type") != "clip":
        raise InputError(
            f"{folder / CONFIG_FILE} describes a {config.get('model_type')!r} model, not 'clip'"
        )
    return transformers.CLIPConfig(**config)


PLIP = from_hub(PLIP_REPOSITORY, "plip")
"""What the registry knows as "plip"."""
