"""Which reports an image is paired with, given the embeddings: no policy reads a label."""

import dataclasses
from typing import Literal

import numpy as np
from scipy import special

from clipit_eva.errors import InputError
from clipit_eva.pairing.controls import CONTROLS
from clipit_eva.pairing.retrieval import top_k

NAMES = ("nearest", "csls", "inverted_softmax", *CONTROLS)
"""All policies; see `PairingPolicy`."""

_BLOCK = 256
"""Images whose cosines with all reports are held at a time."""

Pairs = tuple[np.ndarray, np.ndarray]
"""Rows of reports [N, k], int64, best first, and their cosines [N, k], float32."""


@dataclasses.dataclass(frozen=True)
class PairingPolicy:
    """How reports are chosen.

    - `nearest`: the most similar ones (arXiv 2504.16181, equation 1).
    - `csls`: the most similar ones after each report's mean similarity to its nearest images is
      taken off, so that no report is near to everything (cross-domain similarity local scaling,
      Conneau et al. 2018, arXiv 1710.04087).
    - `inverted_softmax`: those for which the image stands out among all images (Smith et al.
      2017, arXiv 1702.03859).
    - `shuffled`: the pairs of `nearest`, permuted over the images of a split.
    - `random`: reports at random.
    - `constant`: the same random reports for every image.

    Attributes:
        name: One of these.
        neighbours: Images that a report's mean similarity is taken over (`csls`), at least 1.
        temperature: Of the softmax over images (`inverted_softmax`), above 0.
        seed: Of the controls.

    Raises:
        InputError: A value is out of range.
    """

    name: Literal["nearest", "csls", "inverted_softmax", "shuffled", "random", "constant"] = (
        "nearest"
    )
    neighbours: int = 10
    temperature: float = 0.05
    seed: int = 1

    def __post_init__(self) -> None:
        if self.name not in NAMES:
            raise InputError(f"PAIRING_POLICY={self.name} must be one of {', '.join(NAMES)}")
        if self.neighbours < 1:
            raise InputError(f"policy.neighbours={self.neighbours} must be at least 1")
        if not self.temperature > 0:
            raise InputError(f"policy.temperature={self.temperature} must be above 0")
        if self.seed < 0:
            raise InputError(f"PAIRING_SEED={self.seed} must be at least 0")

    @property
    def reads_images(self) -> bool:
        """Whether the pairs depend on the images."""
        return self.name not in ("random", "constant")

    def describe(self) -> dict[str, str | int | float]:
        """Returns the name and the parameters that have an effect, for provenance."""
        used: dict[str, str | int | float] = {"name": self.name}
        if self.name == "csls":
            used["neighbours"] = self.neighbours
        if self.name == "inverted_softmax":
            used["temperature"] = self.temperature
        if self.name in CONTROLS:
            used["seed"] = self.seed
        return used

    def bias(
        self, images: np.ndarray, reports: np.ndarray, device: str = "cpu"
    ) -> np.ndarray | None:
        """Returns what is added to each report's cosines [M], float64; `None` for nothing.

        Args:
            images: Embeddings of the images that say how near a report is to everything [N, d],
                float32: those of the training split for all splits, so that a pair of the test
                split does not depend on its other images.
            reports: Embeddings of the reports [M, d], float32.
            device: Where matrix products run.
        """
        if self.name == "csls":
            count = min(self.neighbours, len(images))
            _, cosines = top_k(reports, images, count, device=device)
            return -cosines.astype(np.float64).mean(axis=1) / 2
        if self.name == "inverted_softmax":
            return -self.temperature * _log_sum_exp(images, reports, self.temperature)
        return None

    def pair(
        self,
        images: np.ndarray,
        reports: np.ndarray,
        k: int,
        *,
        bias: np.ndarray | None = None,
        stream: int = 0,
        device: str = "cpu",
    ) -> Pairs:
        """Pairs the images of one split.

        Args:
            images: Embeddings [N, d], float32, unit length; only their number counts for `random`
                and `constant`.
            reports: Embeddings [M, d], float32, unit length.
            k: Number of reports for each image, 1 to M.
            bias: What `bias` returned.
            stream: The split's position, so that each has its own chance.
            device: Where matrix products run.

        Returns:
            The reports and their cosines, which are NaN for controls: nobody compared them.
        """
        generator = np.random.default_rng([self.seed, stream])
        count = len(images)
        if self.name == "constant":
            chosen = np.random.default_rng(self.seed).choice(len(reports), k, replace=False)
            return _uncompared(np.tile(chosen, (count, 1)))
        if self.name == "random":
            return _uncompared(_draw(generator, count, len(reports), k))
        rows, cosines = top_k(images, reports, k, bias=bias, device=device)
        if self.name == "shuffled":
            return _uncompared(rows[generator.permutation(count)])
        return rows, cosines


def _uncompared(rows: np.ndarray) -> Pairs:
    """Returns pairs without similarities."""
    return rows.astype(np.int64), np.full(rows.shape, np.nan, dtype=np.float32)


def _draw(generator: np.random.Generator, count: int, reports: int, k: int) -> np.ndarray:
    """Draws k distinct reports [count, k] for each image, uniformly."""
    drawn = generator.integers(reports, size=(count, k))
    while True:
        ordered = np.sort(drawn, axis=1)
        (again,) = np.nonzero((ordered[:, 1:] == ordered[:, :-1]).any(axis=1))
        if not len(again):
            return drawn
        if 2 * k > reports:  # most draws would hold one twice
            few = [generator.permutation(reports)[:k] for _ in again]
            drawn[again] = np.stack(few)
        else:
            drawn[again] = generator.integers(reports, size=(len(again), k))


def _log_sum_exp(images: np.ndarray, reports: np.ndarray, temperature: float) -> np.ndarray:
    """Returns log sum over images of exp(cosine / temperature) for each report [M], float64."""
    total = np.full(len(reports), -np.inf)
    # Blocks of a fixed size: sums in another order would differ in the last bits.
    for start in range(0, len(images), _BLOCK):
        cosines = reports @ images[start : start + _BLOCK].T
        part = special.logsumexp(cosines.astype(np.float64) / temperature, axis=1)
        total = np.logaddexp(total, np.asarray(part))
    return total
