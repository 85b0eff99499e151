"""Models of the open_clip library: from the hub, from a folder, or by architecture."""

import copy
import dataclasses
import difflib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import open_clip
import torch
from open_clip import transform
from torch import nn

from clipit_eva.clip import weights
from clipit_eva.clip.encoders import assemble, check_vocabulary, evaluation_transform
from clipit_eva.clip.model import CLIPModel
from clipit_eva.errors import InputError
from clipit_eva.eva import compat

CONFIG_FILE = "open_clip_config.json"
"""The file that makes a folder or a hub repository an open_clip model."""

WEIGHT_FILES = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
)
"""open_clip's names of a model's weights, the preferred one first."""


@dataclasses.dataclass(frozen=True)
class Source:
    """An open_clip model that was found but not loaded.

    Attributes:
        name: Name for provenance: no machine's paths.
        architecture: open_clip's `model_cfg`.
        preprocessing: How images are resized and normalised.
        find_weights: Returns the weight file; downloads it if need be.
        tokenizer: The model name that `open_clip.get_tokenizer` understands.
    """

    name: str
    architecture: Mapping[str, Any]
    preprocessing: transform.PreprocessCfg
    find_weights: Callable[[], Path]
    tokenizer: str


def from_hub(repository: str, config_file: Path, checkpoint: str | None) -> Source:
    """Describes a repository ("organisation/name") with a local copy of its configuration.

    A checkpoint is a weight file to read instead of the model's own.

    Raises:
        InputError: The configuration is not open_clip's.
    """
    name = f"hf-hub:{repository}"
    find_weights = partial(weights.find_weights, repository, WEIGHT_FILES, checkpoint)
    return Source(name, *_read_config(config_file), find_weights, name)


def from_folder(folder: Path, checkpoint: str | None) -> Source:
    """Describes a model in a local folder with `open_clip_config.json` and a weight file.

    Raises:
        InputError: The configuration is not open_clip's.
    """
    return Source(
        folder.resolve().name,
        *_read_config(folder / CONFIG_FILE),
        lambda: Path(checkpoint) if checkpoint else _weights_in(folder),
        f"local-dir:{folder}",
    )


def from_architecture(name: str, checkpoint: str | None) -> Source:
    """Describes one of `open_clip.list_models()` and a checkpoint: a pretrained tag, or a file.

    Where the weights of a pretrained tag were trained with QuickGELU and the named architecture
    has GELU, the weights are followed (open_clip itself only warns, and embeds differently).

    Raises:
        InputError: There is no checkpoint (random weights are never used), or it is unknown.
    """
    architecture = open_clip.get_model_config(name)
    if architecture is None:
        raise InputError(f"open_clip has no architecture {name}")
    tags = open_clip.list_pretrained_tags_by_model(name)
    if not checkpoint:
        raise InputError(
            f"CLIP architecture {name} needs a checkpoint: a weight file, or one of open_clip's "
            f"pretrained tags ({', '.join(tags) or 'it has none'}); set CLIP_CHECKPOINT"
        )
    if checkpoint in tags:
        tag, label = open_clip.get_pretrained_cfg(name, checkpoint), f"{name}/{checkpoint}"
        if tag.get("quick_gelu"):
            architecture["quick_gelu"] = True
        given = _preprocessing(architecture, tag)
        return Source(label, architecture, given, partial(_tagged_weights, tag, label), name)
    if Path(checkpoint).is_file():
        given = _preprocessing(architecture, {})
        return Source(name, architecture, given, lambda: Path(checkpoint), name)
    near = difflib.get_close_matches(checkpoint, tags)
    raise InputError(
        f"CLIP checkpoint {checkpoint!r} is neither a file nor a pretrained tag of {name}; "
        f"{'did you mean' if near else 'its tags are'} {', '.join(near or tags) or 'none'}"
    )


def load(source: Source, tokenizer: str | None) -> CLIPModel:
    """Loads both towers of a model: CPU, float32, evaluation mode, frozen.

    A tokenizer, given as folder or hub repository of the Hugging Face layout, replaces its own.

    Raises:
        InputError: The weights or the tokenizer cannot be had or do not fit the architecture.
    """
    towers = _load_towers(source)
    context_length = source.architecture["text_cfg"].get("context_length", 77)
    tokenize = Tokenize(load_tokenizer(tokenizer or source, context_length), context_length)
    if tokenizer:
        check_vocabulary(tokenizer, len(tokenize.vocabulary), source.name, towers.vocab_size)
    return assemble(
        source.name,
        (towers.visual, towers.text),
        tokenize,
        evaluation_transform(source.preprocessing),
        architecture=weights.digest_json(source.architecture),
        embed_dim=source.architecture["embed_dim"],
    )


class Tokenize:
    """An open_clip tokenizer with a fixed context length.

    Attributes:
        context_length: Number of token ids of a text.
        pad_id: Token id of padding.
    """

    def __init__(self, tokenizer: Any, context_length: int) -> None:
        self._tokenizer = tokenizer
        self._inner = getattr(tokenizer, "tokenizer", tokenizer)  # what open_clip wraps, or its own
        self.context_length = context_length
        # An empty text ends in padding, whatever the tokenizer's padding id is.
        self.pad_id = int(self([""])[0, -1])

    def __call__(self, texts: Sequence[str]) -> torch.Tensor:
        """Returns token ids [len(texts), context_length], int64; what does not fit is cut off."""
        if not texts:
            return torch.empty(0, self.context_length, dtype=torch.int64)
        return self._tokenizer(list(texts), context_length=self.context_length)

    @property
    def vocabulary(self) -> Mapping[str, int]:
        """Token ids by token."""
        if isinstance(self._inner, open_clip.SimpleTokenizer):
            return self._inner.encoder
        return self._inner.get_vocab()

    def describe(self) -> str:
        """Returns what fixes the token ids: class, vocabulary digest, context length."""
        digest = weights.digest_json(self.vocabulary)
        return f"{type(self._inner).__name__} {digest} context {self.context_length}"


def _load_towers(source: Source) -> Any:
    """Builds and fills the two towers; text parts always live in a module of their own."""
    path = source.find_weights()
    state = weights.read_state_dict(path)
    architecture = copy.deepcopy(dict(source.architecture))
    if state.keys() >= weights.OF_OPENAI and not architecture.get("quick_gelu"):
        raise InputError(
            f"checkpoint {path} holds OpenAI's weights, which were trained with QuickGELU, but "
            f"{source.name} has GELU; name the architecture {source.name}-quickgelu"
        )
    architecture.pop("custom_text", None)
    decoder = architecture.pop("multimodal_cfg", None)  # CoCa's captions: not needed to embed
    architecture["vision_cfg"]["timm_model_pretrained"] = False
    architecture["text_cfg"]["hf_model_pretrained"] = False
    try:
        with torch.random.fork_rng(devices=[]):  # initial weights that are overwritten below
            towers = open_clip.CustomTextCLIP(**architecture)
    except (TypeError, KeyError, ValueError, AssertionError, RuntimeError, OSError) as error:
        raise InputError(f"CLIP model {source.name} cannot be built: {error}") from error
    state = compat.convert_open_clip_state(towers, state)
    both = nn.ModuleDict({"visual": towers.visual, "text": towers.text})
    weights.load_strictly(both, state, f"checkpoint {path}", decoder=decoder is not None)
    return towers


def load_tokenizer(tokenizer: str | Source, context_length: int) -> Any:
    """Returns open_clip's reading of a tokenizer's folder or hub repository, or a model's own."""
    try:
        if isinstance(tokenizer, Source):
            return open_clip.get_tokenizer(tokenizer.tokenizer)
        return open_clip.tokenizer.HFTokenizer(tokenizer, context_length=context_length)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        named = tokenizer if isinstance(tokenizer, str) else f"of CLIP model {tokenizer.name}"
        place = tokenizer if isinstance(tokenizer, str) else tokenizer.tokenizer
        folder = Path(str(place).removeprefix("local-dir:"))
        wanted = "tokenizer.json, tokenizer_config.json and the text tower's config.json"
        mend = f"{folder} should hold {wanted}" if folder.is_dir() else "mend it"
        raise InputError(f"tokenizer {named} cannot be loaded ({error}); {mend}") from error


def _read_config(path: Path) -> tuple[dict[str, Any], transform.PreprocessCfg]:
    config = weights.read_json(path)
    architecture = config.get("model_cfg")
    if not isinstance(architecture, dict):
        raise InputError(f"{path} has no 'model_cfg'; it must be open_clip's config")
    missing = [key for key in ("embed_dim", "vision_cfg", "text_cfg") if key not in architecture]
    if missing:
        raise InputError(f"{path} lacks {missing[0]!r} in 'model_cfg'")
    return architecture, _preprocessing(architecture, config.get("preprocess_cfg") or {})


def _preprocessing(
    architecture: Mapping[str, Any], given: Mapping[str, Any]
) -> transform.PreprocessCfg:
    """Returns open_clip's preprocessing: its defaults, what is given, the tower's input size."""
    merged = transform.merge_preprocess_dict(transform.PreprocessCfg(), dict(given))
    size = architecture["vision_cfg"].get("image_size", 224)
    return transform.PreprocessCfg(**{**merged, "size": size})


def _weights_in(folder: Path) -> Path:
    if known := [folder / name for name in WEIGHT_FILES if (folder / name).is_file()]:
        return known[0]
    suffixes = (".safetensors", ".bin", ".pt", ".pth")
    others = sorted(path for path in folder.iterdir() if path.suffix in suffixes)
    if len(others) != 1:
        found = ", ".join(path.name for path in others) or "no weight file"
        raise InputError(
            f"CLIP model folder {folder} holds {found}; name the weights {WEIGHT_FILES[0]}, or "
            "give the file as checkpoint"
        )
    return others[0]


def _tagged_weights(tag: Mapping[str, Any], label: str) -> Path:
    repository, _, name = tag.get("hf_hub", "").rpartition("/")
    if not repository:
        try:
            return Path(open_clip.download_pretrained(dict(tag)))
        except Exception as error:  # whatever the network brings
            raise InputError(f"weights of {label} could not be downloaded: {error}") from error
    names: list[str] = [name] if name else list(WEIGHT_FILES)
    if name.endswith((".bin", ".pt", ".pth")):
        names.insert(0, str(Path(name).with_suffix(".safetensors")))
    return weights.find_weights(repository, names)
