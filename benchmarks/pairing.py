"""Throughput of pairing from images on disk to the table, against the bare image encoder.

Run: python benchmarks/pairing.py

Both read the same files with the same transform, batches and workers; the encoder is a ViT-B/32
with random weights.
"""

import argparse
import json
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import eva
import numpy as np
import open_clip
import safetensors.torch
import torch
from eva.core.data.datamodules import schemas
from PIL import Image
from torch import nn

from clipit_eva.clip import CLIPPreprocess, load_clip
from clipit_eva.data import ImageFolder
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


def main() -> None:
    """Runs both in turns and prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=384)
    parser.add_argument("--reports", type=int, default=10_000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu", choices=["cpu", "gpu"])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, options)
        pair(folder, options)  # embeds the reports, which are not timed
        rounds = [(bare(folder, options), pair(folder, options)) for _ in range(options.rounds)]
    encoder = statistics.median(seconds for seconds, _ in rounds)
    pairing = statistics.median(seconds for _, seconds in rounds)
    result = {
        **vars(options),
        "threads": torch.get_num_threads(),
        "bare_images_per_s": round(options.images / encoder, 1),
        "pairing_images_per_s": round(options.images / pairing, 1),
        "ratio": round(encoder / pairing, 3),
        "ratio_of_each_round": [round(one / other, 3) for one, other in rounds],
    }
    print(json.dumps(result))


def prepare(folder: Path, options: argparse.Namespace) -> None:
    """Makes images, reports and a model."""
    generator = np.random.default_rng(0)
    (folder / "images").mkdir()
    for number in range(options.images):
        pixels = generator.integers(0, 256, (28, 28, 3), dtype=np.uint8)
        image = Image.fromarray(pixels).resize((256, 256))
        image.save(folder / "images" / f"{number:05d}.png")
    lines = (f"tissue {number} with {number % 97} glands" for number in range(options.reports))
    (folder / "reports.txt").write_text("\n".join(lines))
    model = open_clip.CLIP(**json.loads(json.dumps(ARCHITECTURE)))
    (folder / "clip").mkdir()
    config = {"model_cfg": ARCHITECTURE, "preprocess_cfg": {}}
    (folder / "clip" / "open_clip_config.json").write_text(json.dumps(config))
    state = {name: value.contiguous() for name, value in model.state_dict().items()}
    safetensors.torch.save_file(state, folder / "clip" / "open_clip_model.safetensors")


def images(folder: Path) -> ImageFolder:
    """Returns the images as the encoder wants them."""
    transform = CLIPPreprocess(str(folder / "clip"))
    return ImageFolder(str(folder / "images"), ["tissue"], transforms=transform)


def loader(options: argparse.Namespace) -> eva.DataLoader:
    """Returns the settings of both data loaders."""
    several = options.workers > 0
    return eva.DataLoader(
        batch_size=options.batch,
        num_workers=options.workers,
        persistent_workers=several,
        prefetch_factor=2 if several else None,
        pin_memory=options.device == "gpu",
    )


def bare(folder: Path, options: argparse.Namespace) -> float:
    """Returns the seconds that the encoder alone takes."""
    dataset = images(folder)
    dataset.setup()
    device = "cuda" if options.device == "gpu" else "cpu"
    encoder = load_clip(str(folder / "clip")).image_encoder.to(device)
    start = time.perf_counter()
    with torch.inference_mode():
        for batch, _, _ in loader(options)(dataset):
            encoder(batch.to(device)).cpu()
    return time.perf_counter() - start


def pair(folder: Path, options: argparse.Namespace) -> float:
    """Returns the seconds from the first batch to the table."""
    cache = folder / "cache"
    for path in cache.glob("images*"):
        path.unlink()
    source = ReportSource(
        str(folder / "reports.txt"), clip_model=str(folder / "clip"), cache_dir=str(cache)
    )
    writer = Timed(source, str(folder / "pairs.parquet"), {0: "train"})
    trainer = eva.Trainer(
        accelerator=options.device,
        logger=False,
        enable_progress_bar=False,
        default_root_dir=str(folder / "logs"),
        callbacks=[writer],
    )
    data = eva.DataModule(
        schemas.DatasetsSchema(predict=[images(folder)]),
        schemas.DataloadersSchema(predict=loader(options)),
    )
    trainer.predict(eva.InferenceModule(nn.Identity()), datamodule=data, return_predictions=False)
    shutil.rmtree(folder / "logs", ignore_errors=True)
    return writer.seconds


if __name__ == "__main__":
    main()
