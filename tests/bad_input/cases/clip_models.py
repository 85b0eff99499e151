"""CLIP models that are none."""

import io
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

from wrong_input import Case

from clipit_eva.tasks import synthetic

PAIRING = "eva predict pairing/bach"
WEIGHTS = "open_clip_model.safetensors"


def _folder(change: Callable[[Path], object]) -> Callable[[Path, Path], None]:
    """Returns what copies the demo's model and changes its folder."""

    def spoil(folder: Path, _: Path) -> None:
        shutil.copytree(synthetic.CLIP_FOLDER, folder / "clip")
        change(folder / "clip")

    return spoil


def _case(wrong: str, change: Callable[[Path], object], names: str = "CLIP_MODEL") -> Case:
    return Case(wrong, PAIRING, {"CLIP_MODEL": "clip"}, spoil=_folder(change), names=names)


def _pickle() -> bytes:
    buffer = io.BytesIO()
    pickle.dump({"weights": print}, buffer)
    return buffer.getvalue()


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


CASES = [
    Case("a name that is near to an architecture", PAIRING, {"CLIP_MODEL": "ViT-B-23"},
         names="ViT-B-32"),
    Case("an architecture without weights", PAIRING, {"CLIP_MODEL": "ViT-B-32"},
         names="CLIP_CHECKPOINT"),
    Case("a folder that is not there", PAIRING, {"CLIP_MODEL": "./clip"}, names="./clip"),
    Case("a folder that is empty", PAIRING, {"CLIP_MODEL": "clip"}, {"clip/readme.md": b""},
         names="clip"),
    Case("a model of a hub that is out of reach", PAIRING,
         {"CLIP_MODEL": "hf-hub:nobody/nothing"}, names="nobody/nothing"),
    _case("a config that is not JSON",
          lambda p: (p / "open_clip_config.json").write_text("{"), "open_clip_config.json"),
    _case("a config without an architecture",
          lambda p: (p / "open_clip_config.json").write_text("{}"), "open_clip_config.json"),
    _case("no weights in the folder", lambda p: (p / WEIGHTS).unlink(), "clip"),
    _case("weights cut off", lambda p: _cut(p / WEIGHTS), "clip"),
    Case("a checkpoint that is not there", PAIRING,
         {"CLIP_MODEL": "ViT-B-32", "CLIP_CHECKPOINT": "vit.pt"}),
    Case("a checkpoint that is a pickle", PAIRING,
         {"CLIP_MODEL": "ViT-B-32", "CLIP_CHECKPOINT": "vit.pt"}, {"vit.pt": _pickle()},
         names="vit.pt"),
    Case("CONCH without its checkpoint", PAIRING, {"CLIP_MODEL": "conch"}, names="CLIP_TOKENIZER"),
    Case("a tokenizer that is not there", PAIRING, {"CLIP_TOKENIZER": "none.json"}),
    Case("a tokenizer that is not JSON", PAIRING, {"CLIP_TOKENIZER": "tokenizer.json"},
         {"tokenizer.json": b"{"}, names="tokenizer.json"),
]  # fmt: skip
