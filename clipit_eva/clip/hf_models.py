"""Models of the Hugging Face CLIP layout (transformers' `CLIPModel`), such as PLIP."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
import transformers
from open_clip import transform
from PIL import Image
from torch import nn

from clipit_eva.clip import hub, weights
from clipit_eva.clip.encoders import ImageEncoder, TextEncoder
from clipit_eva.clip.model import CLIPModel
from clipit_eva.clip.registry import NamedModel
from clipit_eva.errors import InputError

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


class HFTokenize:
    """A transformers tokenizer with a fixed context length."""

    def __init__(self, source: str, context_length: int) -> None:
        """Reads the tokenizer.

        Args:
            source: A folder or a hub repository.
            context_length: Number of token ids per text.

        Raises:
            InputError: There is no tokenizer, or it has no padding token.
        """
        try:
            self._tokenizer: Any = transformers.AutoTokenizer.from_pretrained(source)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"tokenizer {source} cannot be loaded: {error}") from error
        if self._tokenizer.pad_token_id is None:
            raise InputError(f"tokenizer {source} has no padding token")
        self._context_length = context_length
        self.pad_id: int = self._tokenizer.pad_token_id

    @property
    def vocab_size(self) -> int:
        """Number of tokens."""
        return len(self._tokenizer)

    def __call__(self, texts: Sequence[str]) -> torch.Tensor:
        """Returns token ids [len(texts), context_length], int64; what does not fit is cut off."""
        if not texts:
            return torch.empty(0, self._context_length, dtype=torch.int64)
        encoded = self._tokenizer(
            list(texts), padding="max_length", truncation=True, max_length=self._context_length
        )
        return torch.tensor(encoded["input_ids"], dtype=torch.int64)

    def describe(self) -> str:
        """Returns what fixes the token ids: class, vocabulary digest, context length."""
        vocabulary = json.dumps(self._tokenizer.get_vocab(), sort_keys=True)
        digest = hashlib.sha256(vocabulary.encode()).hexdigest()
        return f"{type(self._tokenizer).__name__} {digest} context {self._context_length}"


def load_plip(checkpoint: str | None, tokenizer: str | None) -> CLIPModel:
    """Loads PLIP; see `load`."""
    return load("plip", hub_folder(PLIP_REPOSITORY), checkpoint, tokenizer, PLIP_REPOSITORY)


def plip_preprocess(checkpoint: str | None) -> Callable[[Image.Image], torch.Tensor]:
    """Returns PLIP's preprocessing.

    Args:
        checkpoint: Not read; other weights keep the preprocessing.
    """
    return build_preprocess(hub_folder(PLIP_REPOSITORY))


def hub_folder(repository: str) -> Path:
    """Returns the cached folder with a repository's configuration and tokenizer.

    Raises:
        InputError: The repository cannot be had.
    """
    return hub.download_folder(repository, ["*.json", "*.txt"], needed=_PREPROCESSING_FILE)


def load(
    name: str,
    folder: Path,
    checkpoint: str | None,
    tokenizer: str | None,
    repository: str | None = None,
) -> CLIPModel:
    """Loads both towers of a model: CPU, float32, evaluation mode, frozen.

    Args:
        name: Name for provenance.
        folder: Where the configuration and the tokenizer are.
        checkpoint: A weight file to read instead of the model's own.
        tokenizer: A tokenizer folder or hub repository to use instead of the model's own.
        repository: The hub repository of the weights; `None` looks in the folder.

    Raises:
        InputError: The files cannot be had or do not fit together.
    """
    config = _read_config(folder)
    path = _find_weights(folder, repository) if checkpoint is None else Path(checkpoint)
    model = _load_model(config, path)
    context_length = config.text_config.max_position_embeddings
    tokenize = HFTokenize(tokenizer or str(folder), context_length)
    if tokenize.vocab_size > config.text_config.vocab_size:
        raise InputError(
            f"tokenizer {tokenizer or folder} has {tokenize.vocab_size} tokens, but CLIP model "
            f"{name} knows {config.text_config.vocab_size}; give the one it was trained with"
        )
    visual = HFTower(model.vision_model, model.visual_projection)
    text = HFTower(model.text_model, model.text_projection)
    preprocess = build_preprocess(folder)
    return CLIPModel(
        image_encoder=ImageEncoder(visual).eval(),
        text_encoder=TextEncoder(text, context_length, tokenize.pad_id).eval(),
        tokenize=tokenize,
        preprocess=preprocess,
        embed_dim=config.projection_dim,
        context_length=context_length,
        identity={
            "model": name,
            "architecture": hashlib.sha256((folder / CONFIG_FILE).read_bytes()).hexdigest(),
            "weights": weights.digest_weights(visual, text),
            "preprocessing": " ".join(repr(preprocess).split()),
            "tokenizer": tokenize.describe(),
        },
    )


def build_preprocess(folder: Path) -> Callable[[Image.Image], torch.Tensor]:
    """Returns a model's preprocessing of PIL images, from its `preprocessor_config.json`.

    transformers' own class changed its resampling between versions, from PIL's to torchvision's;
    the models were trained with PIL's.

    Args:
        folder: Where that file is.

    Raises:
        InputError: The file is missing, or asks for something else than CLIP's: resize the
            shorter side, crop the centre to a square, normalise.
    """
    path = folder / _PREPROCESSING_FILE
    settings = _read_json(path)
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
    return cast(
        Callable[[Image.Image], torch.Tensor],
        transform.image_transform_v2(preprocessing, is_train=False),
    )


def _load_model(config: Any, path: Path) -> Any:
    """Builds the model and fills it strictly."""
    state = weights.read_state_dict(path)
    with torch.random.fork_rng(devices=[]):  # initial weights that are overwritten below
        model = transformers.CLIPModel(config)
    names = ("vision_model", "visual_projection", "text_model", "text_projection")
    towers = nn.ModuleDict({name: cast(nn.Module, getattr(model, name)) for name in names})
    needed = {
        name: value
        for name, value in state.items()
        # The loss's scale, and counting buffers that older versions stored:
        if name != "logit_scale" and not name.endswith("embeddings.position_ids")
    }
    weights.load_strictly(towers, needed, f"checkpoint {path}")
    return model.float().requires_grad_(False)


def _find_weights(folder: Path, repository: str | None) -> Path:
    """Returns the weight file of a folder or a repository."""
    if repository:
        found = hub.download(repository, WEIGHT_FILES)
    else:
        found = next((folder / name for name in WEIGHT_FILES if (folder / name).is_file()), None)
    if found is None:
        raise InputError(
            f"CLIP model {repository or folder} has none of the weight files "
            f"{', '.join(WEIGHT_FILES)}; give one as checkpoint"
        )
    return found


def _read_config(folder: Path) -> Any:
    """Reads transformers' config of a CLIP model."""
    config = _read_json(folder / CONFIG_FILE)
    if config.get("model_type") != "clip":
        raise InputError(
            f"{folder / CONFIG_FILE} describes a {config.get('model_type')!r} model, not 'clip'"
        )
    return transformers.CLIPConfig(**config)


def _read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON object."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as JSON ({error})") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} is not a JSON object")
    return content


PLIP = NamedModel(load=load_plip, preprocess=plip_preprocess)
"""What the registry knows as "plip"."""
