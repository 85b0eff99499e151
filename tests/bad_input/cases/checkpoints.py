"""Checkpoints and embeddings that are none, or of another model."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from wrong_input import Case

PREDICT = "eva predict predict/bach"
CLIP_IT = "eva fit clip_it/bach"
CACHED = "eva fit unimodal_cached/bach"
OWN = "clip_it/session/run_0/checkpoints/best.ckpt"


def _changed(change: Callable[[dict[str, Any]], object]) -> Callable[[Path, Path], None]:
    """Returns what copies CLIP-IT's checkpoint with a change."""

    def spoil(folder: Path, shared: Path) -> None:
        content = torch.load(shared / OWN, weights_only=True)
        change(content)
        torch.save(content, folder / "best.ckpt")

    return spoil


def _bytes(change: Callable[[bytes], bytes]) -> Callable[[Path, Path], None]:
    def spoil(folder: Path, shared: Path) -> None:
        (folder / "best.ckpt").write_bytes(change((shared / OWN).read_bytes()))

    return spoil


def _saved(value: Any) -> Callable[[Path, Path], None]:
    return lambda folder, _: torch.save(value, folder / "best.ckpt")


def _predict(wrong: str, spoil: Callable[[Path, Path], None], names: str = "best.ckpt") -> Case:
    return Case(wrong, PREDICT, {"CHECKPOINT": "best.ckpt"}, spoil=spoil, names=names)


def _flip(content: bytes) -> bytes:
    middle = len(content) // 2
    return (
        content[:middle]
        + bytes(255 - byte for byte in content[middle : middle + 64])
        + (content[middle + 64 :])
    )


OF_PREDICTION = [
    Case("`CHECKPOINT` is not set", PREDICT, {"CHECKPOINT": None}, names="CHECKPOINT"),
    Case("a checkpoint that is not there", PREDICT, {"CHECKPOINT": "best.ckpt"}),
    Case("a folder without runs", PREDICT, {"CHECKPOINT": "{shared}/bach"}, names="CHECKPOINT"),
    Case("a unimodal run", PREDICT, {"CHECKPOINT": "{shared}/unimodal/session"},
         names="CHECKPOINT"),
    _predict("an empty file", lambda folder, _: (folder / "best.ckpt").write_bytes(b"")),
    _predict("no archive", lambda folder, _: (folder / "best.ckpt").write_bytes(b"PK zanzibar")),
    _predict("a pickle", lambda folder, _: (folder / "best.ckpt").write_bytes(
        pickle.dumps({"state_dict": Path("x")}))),
    _predict("a checkpoint that runs code", _saved({"state_dict": {}, "hook": print})),
    _predict("a checkpoint cut off", _bytes(lambda content: content[:-2000])),
    _predict("damaged bytes", _bytes(_flip)),
    _predict("a list", _saved([1, 2])),
    _predict("no weights", _saved({"epoch": 1})),
    _predict("a number as the weights", _saved({"state_dict": 7})),
    _predict("weights that are no tensors", _changed(lambda c: c["state_dict"].update(
        {next(iter(c["state_dict"])): 7}))),
    _predict("weights of another class of model", _saved({"state_dict": {"a": torch.ones(1)}})),
    _predict("a tensor is missing", _changed(lambda c: c["state_dict"].popitem())),
    _predict("a tensor too many", _changed(lambda c: c["state_dict"].update(
        {"heads.third.weight": torch.ones(1)}))),
    _predict("a tensor of another shape", _changed(lambda c: c["state_dict"].update(
        {"heads.vision.weight": torch.ones(3, 3)}))),
    _predict("settings are missing", _changed(lambda c: c["clipit_eva"].pop("lora"))),
    _predict("settings that are a number", _changed(lambda c: c.update(clipit_eva=7))),
    _predict("LoRA's settings that are a list", _changed(lambda c: c["clipit_eva"].update(
        lora=[16]))),
    _predict("a width in words", _changed(lambda c: c["clipit_eva"].update(
        in_features="wide"))),
    _predict("settings of another backbone", _changed(lambda c: c["clipit_eva"].update(
        {"in_features": 7}))),
    _predict("weights that are no numbers", _changed(lambda c: c["state_dict"][
        "heads.vision.weight"].fill_(float("nan")))),
    Case("a run of another task", "eva predict predict/crc",
         {"CHECKPOINT": "{shared}/clip_it/session"}, names="class"),
]  # fmt: skip

OF_THE_VISION_HEAD = [
    Case("a head that is not there", CLIP_IT, {"VISION_HEAD_CHECKPOINT": "none.ckpt"}),
    Case("a head that is no checkpoint", CLIP_IT, {"VISION_HEAD_CHECKPOINT": "best.ckpt"},
         {"best.ckpt": b"PK not a zip"}),
    Case("a folder without a head", CLIP_IT, {"VISION_HEAD_CHECKPOINT": "{shared}/bach"},
         names="VISION_HEAD_CHECKPOINT"),
    Case("a head of another width", CLIP_IT, {"VISION_HEAD_CHECKPOINT": "best.ckpt"},
         spoil=_saved({"state_dict": {"head.weight": torch.ones(4, 7),
                                       "head.bias": torch.ones(4)}})),
    Case("a head without a linear layer", CLIP_IT, {"VISION_HEAD_CHECKPOINT": "best.ckpt"},
         spoil=_saved({"state_dict": {"head.0.weight": torch.ones(4, 96)}})),
    Case("fewer heads than runs", CLIP_IT,
         {"VISION_HEAD_CHECKPOINT": "{shared}/unimodal/session", "N_RUNS": "2"},
         names="VISION_HEAD_CHECKPOINT"),
]  # fmt: skip

OF_EMBEDDINGS = [
    Case("no embeddings", CACHED, {"EMBEDDINGS_ROOT": "none"}),
    Case("embeddings by another transform", CACHED, {"NORMALIZE_MEAN": "[0.4, 0.5, 0.5]"}),
    Case("embeddings of images of another size", CACHED, {"RESIZE_DIM": "72"}),
    Case("embeddings by another backbone", CACHED,
         {"MODEL_NAME": "universal/vit_small_patch16_224_random"}, names="MODEL_NAME"),
    Case("a file in the place of the folder", "eva predict embeddings/bach",
         {"EMBEDDINGS_ROOT": "embeddings"}, {"embeddings": b""}),
]  # fmt: skip

CASES = [*OF_PREDICTION, *OF_THE_VISION_HEAD, *OF_EMBEDDINGS]
