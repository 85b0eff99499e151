"""The images that a run was trained, selected and tested on, found by its configuration."""

import contextlib
import pydoc
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from eva.vision.data.datasets import vision
from numpy.typing import NDArray

from clipit_eva.data.hold_out import HoldOut
from clipit_eva.errors import InputError
from clipit_eva.eva.recorded_config import RecordedConfig
from clipit_eva.export.construction import build

from ..reading.runs import Run
from .finding import ROLES


@dataclass(frozen=True, eq=False)
class SplitImages:
    """Some images of an eva dataset.

    Attributes:
        dataset: The dataset, set up, without a transform.
        indices: The images' places in it, int64 [images].
    """

    dataset: vision.VisionDataset
    indices: NDArray[np.int64]


def split_images(run: Run, root: Path) -> dict[str, SplitImages]:
    """Returns the images of each of `ROLES`; roles that share a dataset share the object.

    Args:
        run: The run.
        root: Where its images are now.

    Raises:
        InputError: eva cannot read its dataset there.
    """
    datasets: dict[str, vision.VisionDataset] = {}
    found = {}
    for role in ROLES:
        recorded = run.config.part(f"data.datasets.{role}").of_images()
        spec = recorded.innermost
        with _readable(root):
            if (key := str(spec)) not in datasets:
                datasets[key] = open_dataset(spec, root)
            indices = _indices(datasets[key], recorded.first("HoldOut").arguments)
        found[role] = SplitImages(datasets[key], indices)
    return found


def open_dataset(spec: RecordedConfig, root: Path) -> vision.VisionDataset:
    """Returns the eva dataset of a configuration, set up, without a transform.

    Raises:
        InputError: eva cannot read it below the root.
    """
    kept = {k: v for k, v in spec.arguments.items() if k not in ("transforms", "download")}
    with _readable(root):
        found = pydoc.locate(spec.class_path)  # a config may name it by a shorter path
        path = spec.class_path if found is None else f"{found.__module__}.{spec.class_name}"
        dataset = build({"class_path": path, "init_args": {**kept, "root": str(root)}})
        dataset.prepare_data()
        dataset.setup()
    return dataset


@contextlib.contextmanager
def _readable(root: Path) -> Iterator[None]:
    """Says in one line whatever a dataset says of a folder that is none of its own."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise InputError(f"{root} cannot be read ({reason})") from error


def _indices(dataset: vision.VisionDataset, hold_out: Mapping[str, object]) -> NDArray[np.int64]:
    """Returns the images of one side of a hold-out, or all images without one."""
    if not hold_out:
        return np.arange(len(dataset))
    settings = {k: v for k, v in hold_out.items() if k != "dataset"}
    side = HoldOut(dataset, **settings)  # pyright: ignore[reportArgumentType]
    side.configure()
    return np.array([side.inner_index(index) for index in range(len(side))])
