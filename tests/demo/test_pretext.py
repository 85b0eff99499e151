"""The backbone's pretext targets."""

import numpy as np

from clipit_eva.demo.pretext import image_statistics


def _image(side: int) -> np.ndarray:
    """Dark squares of one size on a bright ground, covering a quarter of it whatever the size."""
    image = np.full((48, 48, 3), 230, np.uint8)
    for row in range(side, 48, 2 * side):
        for column in range(side, 48, 2 * side):
            image[row : row + side, column : column + side] = 60
    return image


def test_the_sieve_tells_small_grain_from_large() -> None:
    """Squares of 2 pixels are lost in the finest opening (3 pixels), those of 6 are not."""
    # The first two columns are mean densities, equal here by construction.
    statistics = image_statistics(np.stack([_image(2), _image(6)]))[:, 2:]
    np.testing.assert_allclose(statistics.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(statistics.std(0), 1, atol=1e-5)
    assert statistics[0, 0] > statistics[1, 0]
