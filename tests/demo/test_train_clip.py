"""The script behind the weights: seeded, on pairs that no cohort holds, and loadable."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from clipit_eva.clip.loading import load_clip
from clipit_eva.demo import train_clip
from clipit_eva.demo.cohort import make_cohort
from clipit_eva.files import sha256_file


def test_training_images_are_seeded_and_are_no_cohorts(tmp_path: Path) -> None:
    """Every class is drawn; the same seed number gives a cohort other pictures."""
    tissues, images = train_clip.draw_pairs(8, seed=3)
    assert {tissue.kind for tissue in tissues} == {"Benign", "InSitu", "Invasive", "Normal"}
    np.testing.assert_array_equal(images, train_clip.draw_pairs(8, seed=3)[1])
    assert (images != train_clip.draw_pairs(8, seed=4)[1]).any()
    cohort = make_cohort(tmp_path, seed=3)
    seen = {Image.open(path).tobytes() for path in cohort.bach.rglob("*.tif")}
    assert len(seen) == 400
    assert seen.isdisjoint(image.tobytes() for image in images)


def test_tokenizer_breaks_unknown_words_instead_of_dropping_them() -> None:
    tokenizer = train_clip.make_tokenizer(["the nuclei are large and the stroma is dense"] * 3)
    clean, noisy = (tokenizer.encode(text) for text in ("Nuclei are large", "Nuc1ei a re 1arge"))
    assert clean.tokens[0] == "[BOS]"
    assert clean.tokens[-1] == "[EOS]"
    assert len(noisy.ids) > len(clean.ids)
    assert "[UNK]" not in noisy.tokens


@pytest.mark.slow
def test_a_tiny_run_repeats_to_the_bit(tmp_path: Path) -> None:
    digests = []
    for name in ("first", "second"):
        folder = tmp_path / name
        train_clip.main(["--output", str(folder), "--pairs", "128", "--epochs", "1"])
        digests.append([sha256_file(path) for path in sorted(folder.rglob("*.*"))])
    assert len(digests[0]) == 6
    assert digests[0] == digests[1]
    clip = load_clip(str(tmp_path / "first" / "clip"))
    with torch.inference_mode():
        embedding = clip.text_encoder(clip.tokenize(["Large nuclei."]))
    assert torch.isfinite(embedding).all()
