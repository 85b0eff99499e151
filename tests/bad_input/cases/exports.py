"""Runs that cannot be exported, and the flags of the command."""

import shutil
from collections.abc import Callable
from pathlib import Path

from wrong_input import Case

RUN = "clipit-eva export run --output model.safetensors"
OWN = "{shared}/clip_it/session/run_0"


def _run(change: Callable[[Path], object]) -> Callable[[Path, Path], None]:
    """Returns what copies CLIP-IT's run and changes its folder."""

    def spoil(folder: Path, shared: Path) -> None:
        shutil.copytree(shared / "clip_it/session/run_0", folder / "run")
        change(folder / "run")

    return spoil


def _best(folder: Path) -> Path:
    return folder / "checkpoints" / "best.ckpt"


CASES = [
    Case("a run that is not there", RUN, names="run"),
    Case("a folder without a run", "clipit-eva export {shared}/bach --output model.safetensors",
         names="RUN"),
    Case("several runs", "clipit-eva export {shared} --output model.safetensors", names="RUN"),
    Case("another format", f"clipit-eva export {OWN} --output model.pt", names="model.pt"),
    Case("no file name", f"clipit-eva export {OWN} --output model", names="model"),
    Case("no output", f"clipit-eva export {OWN}", names="--output"),
    Case("no run", "clipit-eva export --output model.onnx", names="RUN"),
    Case("an unknown branch", f"clipit-eva export {OWN} --output m.onnx --branch text",
         names="--branch"),
    Case("`--no-check=yes`", f"clipit-eva export {OWN} --output m.onnx --no-check=yes",
         names="--no-check"),
    Case("a file in the place of the folder", f"clipit-eva export {OWN} --output a/m.safetensors",
         files={"a": b""}, names="a/m.safetensors"),
    Case("a folder in the place of the file", f"clipit-eva export {OWN} --output m.safetensors",
         files={"m.safetensors/a.txt": b""}, names="m.safetensors"),
    Case("the checkpoint is missing", RUN, spoil=_run(lambda run: _best(run).unlink()),
         names="RUN"),
    Case("another checkpoint", RUN, spoil=_run(lambda run: _best(run).write_bytes(b"PK")),
         names="RUN"),
    Case("a predictions table cut off", RUN, spoil=_run(
        lambda run: (run / "predictions.parquet").write_bytes(b"PAR1")),
        names="predictions.parquet", quotes=True),
    Case("predictions of new images", "clipit-eva export run --output m.safetensors",
         spoil=_run(lambda run: shutil.rmtree(run / "checkpoints")), names="RUN"),
]  # fmt: skip
