"""The drawn tissue: what the attributes promise is in the pixels."""

import dataclasses

import numpy as np
import pytest
from skimage.color import rgb2hed
from skimage.filters import threshold_otsu
from skimage.measure import label, regionprops

from clipit_eva.demo.tissue import ATTRIBUTES, KINDS, SIZE, Tissue, draw, sample_tissue

MIDDLE = Tissue("Invasive", **dict.fromkeys(ATTRIBUTES, 0.5))


def _haematoxylin(tissue: Tissue) -> list[np.ndarray]:
    """Haematoxylin of a few images, by scikit-image's colour deconvolution."""
    rng = np.random.default_rng(3)
    return [rgb2hed(draw(tissue, rng))[..., 0] for _ in range(20)]


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_is_rgb_and_repeatable(kind: str) -> None:
    tissue = sample_tissue(kind, np.random.default_rng(1))
    first, again, other = (draw(tissue, np.random.default_rng(seed)) for seed in (7, 7, 8))
    assert first.shape == (SIZE, SIZE, 3)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_attributes_stay_in_range_and_differ_within_a_class() -> None:
    rng = np.random.default_rng(2)
    drawn = [dataclasses.astuple(sample_tissue("Invasive", rng))[1:] for _ in range(200)]
    values = np.array(drawn, float)
    assert values.min() >= 0
    assert values.max() <= 1
    assert (values.std(0) > 0.1).all()


@pytest.mark.parametrize("attribute", ["cellularity", "inflammation"])
def test_more_nuclei_mean_more_haematoxylin(attribute: str) -> None:
    low, high = (dataclasses.replace(MIDDLE, **{attribute: value}) for value in (0.0, 1.0))
    assert np.mean(_haematoxylin(high)) > np.mean(_haematoxylin(low))


def test_larger_nuclei_are_larger() -> None:
    def area(size: float) -> float:
        tissue = Tissue("Invasive", size, 0.0, 0.0, 0.0, 0.5, 0.0)
        areas = []
        for stain in _haematoxylin(tissue):
            areas += [nucleus.area for nucleus in regionprops(label(stain > threshold_otsu(stain)))]
        return float(np.median([value for value in areas if value > 4]))

    assert area(1.0) > 1.5 * area(0.0)


def test_an_open_lumen_is_brighter_than_a_filled_duct() -> None:
    def brightness(lumen: float) -> float:
        tissue = dataclasses.replace(MIDDLE, kind="Normal", lumen=lumen)
        rng = np.random.default_rng(5)
        return float(np.mean([(draw(tissue, rng) > 200).all(-1).mean() for _ in range(20)]))

    assert brightness(1.0) > brightness(0.0)
