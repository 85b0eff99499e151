"""Time of pairing, from images on disk to the table, against the bare image encoder.

Run: python benchmarks/pairing.py

Both read the same files with the same transform, batches and workers; the encoder is a ViT-B/32
with random weights. And what it costs to know 10,000 image files by their content: read and hashed
before they are paired for the first time, looked at for changes later.
"""

import dataclasses
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import _common
import _models
import eva
import numpy as np
import torch
from eva.core.data.datamodules import schemas
from PIL import Image
from torch import nn

from clipit_eva.clip import CLIPPreprocess, load_clip
from clipit_eva.data import ImageFolder
from clipit_eva.embeddings.image_content import content_digest
from clipit_eva.pairing import PairingWriter, ReportSource

ARCHITECTURE: dict[str, Any] = {
    "embed_dim": 512,
    "vision_cfg": {"image_size": 224, "layers": 12, "width": 768, "patch_size": 32},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 1},
}


class Timed(PairingWriter):
    """Notes when the first batch is asked for and when the table is written."""

    def on_predict_start(self, *_: Any) -> None:
        """Starts the clock."""
        self.started = time.perf_counter()

    def on_predict_end(self, *arguments: Any) -> None:
        """Pairs, and stops the clock."""
        super().on_predict_end(*arguments)
        self.seconds = time.perf_counter() - self.started


@dataclasses.dataclass(frozen=True)
class Setting:
    """Sizes of one comparison."""

    images: int
    reports: int
    device: str
    batch: int = 64
    workers: int = 1


def measure(options: _common.Options) -> Iterator[_common.Result]:
    """Compares both in turns, and unless quick for ever more reports."""
    for reports in [10_000] if options.quick else [100, 1000, 10_000]:
        setting = Setting(128 if options.quick else 384, reports, options.device)
        result = compare(setting, rounds=3 if options.quick else 5)
        yield result
    yield from compare_content(result.details["pairing [s]"] / setting.images)


def compare(setting: Setting, rounds: int) -> _common.Result:
    """Compares pairing with the encoder alone, in turns."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, setting)
        pair(folder, setting)  # embeds the reports, which are not timed
        turns = [(pair(folder, setting), bare(folder, setting)) for _ in range(rounds)]
    seconds = {
        name: [turn[place] for turn in turns] for place, name in enumerate(("pairing", "encoder"))
    }
    return _common.ratio(
        f"pairing with {setting.reports} reports / bare image encoder",
        seconds,
        "pairing",
        "encoder",
        limit=1 / 0.9 if setting.reports == 10_000 else None,
        **dataclasses.asdict(setting),
    )


def compare_content(pairing: float, count: int = 10_000) -> Iterator[_common.Result]:
    """Compares knowing images by content with pairing them.

    Args:
        pairing: Seconds that pairing takes for an image.
        count: Number of images.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, Setting(images=1, reports=1, device="cpu"))
        content = (folder / "images" / "00000.png").read_bytes()
        for number in range(1, count):
            (folder / "images" / f"{number:05d}.png").write_bytes(
                content + number.to_bytes(4, "big")
            )
        dataset = images(folder)
        dataset.setup()
        for what in ("read", "looked at again"):
            turns = []
            for turn in range(3):
                record = folder / (f"{turn}" if what == "read" else "0")
                start = time.perf_counter()
                content_digest(dataset, record)
                turns.append((time.perf_counter() - start) / (count * pairing))
            yield _common.median(
                f"content of image files, {what} / pairing",
                turns,
                "ratio",
                limit=0.02,
                images=count,
                **{"KiB/image": len(content) // 1024, "pairing [ms/image]": 1000 * pairing},
            )


def prepare(folder: Path, setting: Setting) -> None:
    """Makes images, reports and a model."""
    generator = np.random.default_rng(0)
    (folder / "images").mkdir()
    for number in range(setting.images):
        pixels = generator.integers(0, 256, (28, 28, 3), dtype=np.uint8)
        image = Image.fromarray(pixels).resize((256, 256))
        image.save(folder / "images" / f"{number:05d}.png")
    lines = (f"tissue {number} with {number % 97} glands" for number in range(setting.reports))
    (folder / "reports.txt").write_text("\n".join(lines))
    (folder / "clip").mkdir()
    _models.write_clip(folder / "clip", ARCHITECTURE)


def images(folder: Path) -> ImageFolder:
    """Returns the images as the encoder wants them."""
    transform = CLIPPreprocess(str(folder / "clip"))
    return ImageFolder(str(folder / "images"), ["tissue"], transforms=transform)


def loader(setting: Setting) -> eva.DataLoader:
    """Returns the settings of both data loaders."""
    several = setting.workers > 0
    return eva.DataLoader(
        batch_size=setting.batch,
        num_workers=setting.workers,
        persistent_workers=several,
        prefetch_factor=2 if several else None,
        pin_memory=setting.device == "cuda",
    )


def bare(folder: Path, setting: Setting) -> float:
    """Returns the seconds that the encoder alone takes."""
    dataset = images(folder)
    dataset.setup()
    encoder = load_clip(str(folder / "clip")).image_encoder.to(setting.device)
    start = time.perf_counter()
    with torch.inference_mode():
        for batch, _, _ in loader(setting)(dataset):
            encoder(batch.to(setting.device)).cpu()
    return time.perf_counter() - start


def pair(folder: Path, setting: Setting) -> float:
    """Returns the seconds from the first batch to the table."""
    cache = folder / "cache"
    for path in cache.glob("images*"):
        path.unlink()
    source = ReportSource(
        str(folder / "reports.txt"), clip_model=str(folder / "clip"), cache_dir=str(cache)
    )
    writer = Timed(source, str(folder / "pairs.parquet"), {0: "train"})
    trainer = eva.Trainer(
        accelerator="gpu" if setting.device == "cuda" else "cpu",
        logger=False,
        enable_progress_bar=False,
        default_root_dir=str(folder / "logs"),
        callbacks=[writer],
    )
    data = eva.DataModule(
        schemas.DatasetsSchema(predict=[images(folder)]),
        schemas.DataloadersSchema(predict=loader(setting)),
    )
    trainer.predict(eva.InferenceModule(nn.Identity()), datamodule=data, return_predictions=False)
    shutil.rmtree(folder / "logs", ignore_errors=True)
    return writer.seconds


if __name__ == "__main__":
    _common.main(__doc__, measure)
