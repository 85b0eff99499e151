"""Whether a difference from the trained module is found."""

import math

import pytest
import torch

from clipit_eva.errors import InputError
from clipit_eva.export.check import check_run, compare, random_images, real_images
from clipit_eva.export.run import find_run

from .conftest import MakeRun

IMAGES = random_images((4, 4))
LOGITS = IMAGES.flatten(1)[:, :3]


@pytest.mark.parametrize(("scale", "passes"), [(0.0, True), (0.9e-4, True), (1.1e-4, False)])
def test_tolerance(scale: float, passes: bool) -> None:
    def classify(images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1)[:, :3] + scale * float(LOGITS.abs().max())

    if passes:
        assert compare(classify, [IMAGES], [LOGITS]) == pytest.approx(scale, abs=1e-6)
    else:
        with pytest.raises(InputError, match=r"differ by 1.1e-04 .* no file was written"):
            compare(classify, [IMAGES], [LOGITS])


def test_nan_is_a_difference() -> None:
    with pytest.raises(InputError, match="differ by nan"):
        compare(lambda images: images.flatten(1)[:, :3] * float("nan"), [IMAGES], [LOGITS])


def test_another_shape_is_a_difference() -> None:
    with pytest.raises(InputError, match="gives"):
        compare(lambda images: images.flatten(1)[:, :2], [IMAGES], [LOGITS])


def test_a_batch_that_changes_its_images_is_found() -> None:
    """A file with a fixed batch size, or batch statistics, says something else of one image."""

    def classify(images: torch.Tensor) -> torch.Tensor:
        flat = images.flatten(1)[:, :3]
        return flat - flat.mean(0) + LOGITS.mean(0)

    with pytest.raises(InputError, match="differ"):
        compare(classify, [IMAGES], [LOGITS])


def test_the_runs_own_table_tells_another_backbone(unimodal_run: MakeRun) -> None:
    folder, _ = unimodal_run()
    run = find_run(folder)
    check_run(run, "fused", [1, 0], torch.zeros(2, 4))  # the table says a quarter each
    even = torch.tensor([[0.0, 0, 0, 0], [math.log(3), 0, 0, 0]])  # half for the first class
    with pytest.raises(InputError, match=r"not those of .* differ by 0.25"):
        check_run(run, "fused", [1, 0], even)
    with pytest.raises(InputError, match="not those of"):
        check_run(run, "fused", [1, 2], torch.zeros(2, 4))  # the table has two images


def test_data_that_cannot_be_read_is_named(unimodal_run: MakeRun) -> None:
    folder, _ = unimodal_run()
    run = find_run(folder)
    assert real_images(run) is None
    (folder / "gone").mkdir()  # where the run had its images
    with pytest.raises(InputError, match=r"test images in .*gone cannot be read .* --no-check"):
        real_images(run)
