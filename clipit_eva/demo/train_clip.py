"""Makes the demo's weights: `python -m clipit_eva.demo.train_clip --output DIR`.

Draws image-report pairs that no cohort contains, trains a small CLIP on them from scratch with the
symmetrical contrastive loss of Radford et al. ("Learning transferable visual models from natural
language supervision", ICML 2021), and a backbone on the images alone.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import open_clip
import torch
from PIL import Image
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from torch import nn

from clipit_eva.demo import demo_backbone, pretext
from clipit_eva.demo.report_wording import write_report
from clipit_eva.demo.tissue import KINDS, Tissue, draw, sample_tissue
from clipit_eva.files import atomic_path, sha256_file

_STREAM = 2
"""Keeps the random numbers apart from those of cohorts (`cohort._STREAM`), whatever the seeds."""

_BATCH = 128

# A small convolutional tower learns nuclei from few images; a ViT would need many more.
CONFIG = json.loads((demo_backbone.WEIGHTS.parent / "clip" / "open_clip_config.json").read_text())
"""The image-text model in open_clip's terms: that of the weights shipped so far."""


def draw_pairs(count: int, seed: int) -> tuple[list[Tissue], np.ndarray]:
    """Draws tissues, as many of each class, and their images [count, 96, 96, 3], uint8."""
    rng = np.random.default_rng((_STREAM, seed))
    tissues = [sample_tissue(KINDS[i % len(KINDS)], rng) for i in range(count)]
    return tissues, np.stack([draw(tissue, rng) for tissue in tissues])


def make_tokenizer(texts: list[str]) -> Tokenizer:
    """Learns byte pair encoding from texts; what OCR broke falls apart into pieces, not unknowns.

    Padding has id 0 and the end of text the highest id, where open_clip pools.
    """
    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Whitespace(), pre_tokenizers.Digits(individual_digits=True)]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=CONFIG["model_cfg"]["text_cfg"]["vocab_size"] - 1,  # [EOS] comes last
        special_tokens=["[PAD]", "[UNK]", "[BOS]"],
        initial_alphabet=list("abcdefghijklmnopqrstuvwxyz0123456789"),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens(["[EOS]"])
    ends = [(name, tokenizer.token_to_id(name)) for name in ("[BOS]", "[EOS]")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[BOS] $A [EOS]", special_tokens=ends
    )
    return tokenizer


def write_clip_files(folder: Path, tokenizer: Tokenizer) -> None:
    """Writes what open_clip's `local-dir:` needs beside the weights."""
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "bos_token": "[BOS]", "eos_token": "[EOS]"}
    files = {
        "open_clip_config.json": CONFIG,
        "tokenizer.json": json.loads(tokenizer.to_str()),
        "tokenizer_config.json": names | {"tokenizer_class": "PreTrainedTokenizerFast"},
    }
    for name, content in files.items():
        with atomic_path(folder / name) as temporary:
            temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _window(text: str, rng: np.random.Generator) -> str:
    """Returns the text or, as pairing may cut reports into chunks, a part of it."""
    words = text.split()
    start = rng.integers(0, len(words) // 2) if rng.random() < 0.4 else 0
    return " ".join(words[start:])


def train(
    folder: Path, tissues: list[Tissue], images: np.ndarray, *, epochs: int, seed: int
) -> nn.Module:
    """Returns the model of a folder (config and tokenizer), trained from random weights.

    Images are [len(tissues), 96, 96, 3], uint8; reports are written anew every epoch. The seed
    fixes weights, order, wording and turns.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng((_STREAM, seed, 1))
    tokenize = open_clip.get_tokenizer(f"local-dir:{folder}")
    model = open_clip.create_model(f"local-dir:{folder}", load_weights=False)
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2)
    steps = len(images) // _BATCH
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=epochs * steps)
    contrast = open_clip.ClipLoss()
    for epoch in range(epochs):
        tokens = tokenize([_window(write_report(tissue, rng), rng) for tissue in tissues])
        total = 0.0
        for rows in torch.randperm(len(images))[: steps * _BATCH].view(steps, _BATCH):
            batch = torch.rot90(pixels[rows], int(rng.integers(4)), (2, 3))
            loss = contrast(*model(batch / 127.5 - 1, tokens[rows]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            with torch.no_grad():
                model.get_parameter("logit_scale").clamp_(0, np.log(100))
            total += loss.item() / steps
        print(f"image-text epoch {epoch + 1}/{epochs}: loss {total:.3f}", flush=True)
    return model.eval()


def _save_half(model: nn.Module, path: Path) -> None:
    """Saves a model's weights, floating-point ones in half precision."""
    state = {
        name: (value.half() if value.is_floating_point() else value).contiguous()
        for name, value in model.state_dict().items()
    }
    with atomic_path(path) as temporary:
        save_file(state, temporary)


def main(command_line: Sequence[str] | None = None) -> None:
    """Trains and saves both models and a record of how they were made."""
    parser = argparse.ArgumentParser(description="Make the demo's weights.")
    parser.add_argument("--output", type=Path, required=True, help="folder to write to")
    parser.add_argument("--seed", type=int, default=1, help="fixes data and training")
    parser.add_argument("--pairs", type=int, default=4096, help="image-text pairs to train on")
    parser.add_argument("--epochs", type=int, default=8, help="passes over the pairs")
    arguments = parser.parse_args(command_line)

    tissues, images = draw_pairs(arguments.pairs, arguments.seed)
    print(f"drew {len(images)} pairs", flush=True)
    rng = np.random.default_rng((_STREAM, arguments.seed, 2))
    clip = arguments.output / "clip"
    write_clip_files(clip, make_tokenizer([write_report(tissue, rng) for tissue in tissues]))
    model = train(clip, tissues, images, epochs=arguments.epochs, seed=arguments.seed)
    _save_half(model, clip / "open_clip_model.safetensors")
    size = (demo_backbone.IMAGE_SIZE, demo_backbone.IMAGE_SIZE)
    small = [np.asarray(Image.fromarray(image).resize(size)) for image in images[:2048]]
    vit = pretext.train_backbone(np.stack(small), epochs=4, seed=arguments.seed)
    _save_half(vit, arguments.output / demo_backbone.WEIGHTS.name)

    made = sorted(path for path in arguments.output.rglob("*") if path.suffix == ".safetensors")
    record = {
        "command": "python -m clipit_eva.demo.train_clip --output DIR"
        f" --seed {arguments.seed} --pairs {arguments.pairs} --epochs {arguments.epochs}",
        "sha256": {str(path.relative_to(arguments.output)): sha256_file(path) for path in made},
        "versions": {"torch": torch.__version__, "open_clip": open_clip.__version__},
    }
    with atomic_path(arguments.output / "made.json") as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
