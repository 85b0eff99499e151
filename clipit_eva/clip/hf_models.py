"""Models of the Hugging Face CLIP layout (transformers' `CLIPModel`), such as PLIP."""

from collections.abc import Callable, Mapping
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
from clipit_eva.clip.open_clip_models import Tokenize, load_tokenizer
from clipit_eva.clip.registry import NamedModel
from clipit_eva.errors import InputError
from clipit_eva.files import sha256_file

CONFIG_FILE = "config.json"
"""The file that makes a folder or a hub repository a transformers model."""

WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")
"""transformers' names of a model's weights, the preferred one first."""

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


def from_hub(repository: str, name: str) -> NamedModel:
    """Returns a model of a hub repository, of which nothing is downloaded yet."""

    def folder() -> Path:  # with the configuration and the tokenizer
        return hub.download_folder(repository, ["*.json", "*.txt"], needed=_PREPROCESSING_FILE)

    return _named(name, folder, repository)


def from_folder(folder: Path) -> NamedModel:
    """Returns a model of a local folder, of which nothing is read yet."""
    return _named(folder.resolve().name, lambda: folder, folder)


def _named(name: str, folder: Callable[[], Path], source: str | Path) -> NamedModel:
    """Returns a model whose folder is had when it is needed; its weights come from the source."""
    return NamedModel(
        load=lambda *given: _load(name, folder(), source, *given),
        preprocess=lambda _: build_preprocess(folder()),
    )


def _load(
    name: str, folder: Path, source: str | Path, checkpoint: str | None, tokenizer: str | None
) -> CLIPModel:
    """Loads both towers of a model: CPU, float32, evaluation mode, frozen.

    The folder has the configuration and the tokenizer; `checkpoint` and `tokenizer` (a folder or
    repository) are read instead of the model's.
    """
    described = weights.read_json(folder / CONFIG_FILE)
    if described.get("model_type") != "clip":
        raise InputError(
            f"{folder / CONFIG_FILE} describes a {described.get('model_type')!r} model, not 'clip'"
        )
    config: Any = transformers.CLIPConfig(**described)
    path = weights.find_weights(source, WEIGHT_FILES, checkpoint)
    state = weights.read_state_dict(path)
    with torch.random.fork_rng(devices=[]):  # initial weights that are overwritten below
        model = transformers.CLIPModel(config)
    names = ("vision_model", "visual_projection", "text_model", "text_projection")
    towers = nn.ModuleDict({name: model.get_submodule(name) for name in names})
    weights.load_strictly(towers, state, f"checkpoint {path}")
    tokenize = _load_tokenize(tokenizer or str(folder), config.text_config.max_position_embeddings)
    known = config.text_config.vocab_size
    check_vocabulary(tokenizer or folder, len(tokenize.vocabulary), name, known)
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


def _load_tokenize(source: str, context_length: int) -> Tokenize:
    """Reads the tokenizer of a folder or a hub repository, which takes texts as they are."""
    tokenizer = load_tokenizer(source, context_length)
    tokenizer.clean_fn = str
    if tokenizer.tokenizer.pad_token_id is None:
        raise InputError(f"tokenizer {source} has no padding token")
    return Tokenize(tokenizer, context_length)


PLIP = from_hub("vinid/plip", "plip")
"""PLIP (Huang et al., Nature Medicine 2023, doi:10.1038/s41591-023-02504-3)."""
