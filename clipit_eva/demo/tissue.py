"""Synthetic H&E-like images whose appearance follows from a few attributes of the tissue.

The picture is drawn as two stain concentrations, haematoxylin and eosin, and turned into colour by
the Beer-Lambert law with the optical densities of Ruifrok & Johnston ("Quantification of
histochemical staining by color deconvolution", Anal Quant Cytol Histol 23:291-299, 2001). Nothing
here is meant to pass for real tissue: it has to be a task with a known truth.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np
from scipy import ndimage

KINDS = ("Benign", "InSitu", "Invasive", "Normal")
"""The classes of BACH, in eva's order."""

SIZE = 96
"""Height and width of an image in pixels; one pixel stands for about a micrometre."""

_HAEMATOXYLIN = (0.650, 0.704, 0.286)
_EOSIN = (0.072, 0.990, 0.105)

_ROWS, _COLUMNS = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)


@dataclasses.dataclass(frozen=True)
class Tissue:
    """What a field of view of one of `KINDS` shows; every attribute lies in [0, 1]."""

    kind: str
    nuclear_size: float
    pleomorphism: float
    cellularity: float
    lumen: float
    fibrosis: float
    inflammation: float


ATTRIBUTES = tuple(field.name for field in dataclasses.fields(Tissue))[1:]
"""The names of the continuous attributes, in the order of `_MEANS`."""

# The spread below makes neighbours overlap: a low-grade lesion in a duct looks like hyperplasia.
_MEANS = {
    "Normal": (0.22, 0.18, 0.28, 0.62, 0.34, 0.25),
    "Benign": (0.34, 0.26, 0.50, 0.52, 0.60, 0.34),
    "InSitu": (0.60, 0.50, 0.70, 0.26, 0.48, 0.40),
    "Invasive": (0.66, 0.70, 0.60, 0.20, 0.60, 0.48),
}
_SPREAD = 0.15


@dataclasses.dataclass(frozen=True)
class _Outline:
    """A closed curve around a centre: an ellipse with harmonics added to its radius.

    `waves` [n, 2] are amplitude (relative to the radius) and phase of the 2nd, 3rd, ... harmonic.
    """

    row: float
    column: float
    radius: float
    aspect: float
    angle: float
    waves: np.ndarray

    def depth(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Returns the distance from the centre over the outline's radius: 1 on the curve."""
        down, right = rows - self.row, columns - self.column
        along = np.cos(self.angle) * right + np.sin(self.angle) * down
        across = (np.cos(self.angle) * down - np.sin(self.angle) * right) * self.aspect
        turn = np.arctan2(across, along)
        edge = np.full_like(turn, self.radius * self.aspect**0.5)
        for order, (amplitude, phase) in enumerate(self.waves, start=2):
            edge += self.radius * amplitude * np.cos(order * turn + phase)
        return np.hypot(along, across) / np.maximum(edge, 0.5)


@dataclasses.dataclass(frozen=True)
class _Duct:
    """An epithelial structure: cells between an outline and a (possibly closed) lumen.

    `depth` [SIZE, SIZE] is its outline's at each pixel, `lumen` the share of the radius that is
    open, `membrane` the border's strength, 0 for none.
    """

    radius: float
    depth: np.ndarray
    lumen: float
    membrane: float


def sample_tissue(kind: str, rng: np.random.Generator) -> Tissue:
    """Draws a field of view of one of `KINDS`: around the class's own values; classes overlap."""
    values = np.clip(rng.normal(_MEANS[kind], _SPREAD), 0, 1)
    return Tissue(kind, *(float(value) for value in values))


def draw(tissue: Tissue, rng: np.random.Generator) -> np.ndarray:
    """Draws an RGB image [SIZE, SIZE, 3], uint8; where things lie and the stain are by chance."""
    haematoxylin, eosin = _stroma(tissue, rng)
    ducts = list(_ducts(tissue, rng))
    for duct in ducts:
        _paint_duct(haematoxylin, eosin, duct)
    for outline, darkness in _nuclei(tissue, ducts, rng):
        _paint_nucleus(haematoxylin, eosin, outline, darkness)
    return _stain(haematoxylin, eosin, rng)


def _texture(rng: np.random.Generator, sigma: tuple[float, float]) -> np.ndarray:
    """Returns smooth noise [SIZE, SIZE] with mean 0 and standard deviation 1."""
    noise = ndimage.gaussian_filter(rng.standard_normal((SIZE, SIZE), np.float32), sigma)
    return (noise - noise.mean()) / noise.std()


def _stroma(tissue: Tissue, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Returns the haematoxylin and eosin of the ground: fibres, with gaps where it is loose."""
    fibres = _texture(rng, (1.0, 5.0)) if rng.random() < 0.5 else _texture(rng, (5.0, 1.0))
    bend = 3 * _texture(rng, (14, 14))
    fibres = ndimage.map_coordinates(fibres, [_ROWS + bend, _COLUMNS + bend], order=1, mode="wrap")
    gaps = _texture(rng, (6, 6)) > 0.9 + 1.6 * tissue.fibrosis
    eosin = 0.30 + 0.25 * tissue.fibrosis + (0.05 + 0.10 * tissue.fibrosis) * fibres
    eosin = np.where(ndimage.gaussian_filter(gaps.astype(np.float32), 1) > 0.5, 0.04, eosin)
    return np.full((SIZE, SIZE), 0.05, np.float32), eosin.astype(np.float32)


def _outline(
    rng: np.random.Generator, centre: tuple[float, float], radius: float, roughness: float
) -> _Outline:
    """Returns an outline with random elongation; `roughness` in [0, 1] makes it irregular."""
    amplitude = rng.normal(0, 0.02 + 0.11 * roughness, 4) / np.arange(1, 5) ** 0.5
    phase = rng.uniform(0, 2 * np.pi, 4)
    aspect = 1 + abs(rng.normal(0, 0.08 + 0.35 * roughness))
    angle = rng.uniform(0, np.pi)
    return _Outline(*centre, radius, aspect, angle, np.stack([amplitude, phase], axis=1))


def _ducts(tissue: Tissue, rng: np.random.Generator) -> Iterator[_Duct]:
    """Yields the epithelial structures of a class, which do not overlap."""
    least, most, small, large, roughness = {
        "Normal": (2, 4, 9, 14, 0.1),
        "Benign": (2, 5, 10, 18, 0.35),
        "InSitu": (1, 3, 14, 28, 0.2),
        "Invasive": (0, 4, 7, 15, 0.9),
    }[tissue.kind]
    placed = np.empty((0, 3))
    for _ in range(rng.integers(least, most, endpoint=True)):
        radius = rng.uniform(small, large)
        for _ in range(20):
            row, column = rng.uniform(8, SIZE - 8, 2)
            apart = np.hypot(placed[:, 0] - row, placed[:, 1] - column)
            if np.all(apart > placed[:, 2] + radius + 1):
                placed = np.vstack([placed, (row, column, radius)])
                outline = _outline(rng, (row, column), radius, roughness)
                depth = outline.depth(_ROWS, _COLUMNS)
                yield _Duct(radius, depth, *_duct_filling(tissue, rng))
                break


def _duct_filling(tissue: Tissue, rng: np.random.Generator) -> tuple[float, float]:
    """Returns a duct's open share and the strength of its border."""
    if tissue.kind == "Invasive":
        return (0.5 * tissue.lumen if rng.random() < 0.4 else 0.0), 0.0
    if tissue.kind == "InSitu":
        return (0.9 * tissue.lumen if rng.random() < 0.6 else 0.0), 0.5
    if tissue.kind == "Benign" and rng.random() < 0.3:  # hyperplasia fills some ducts
        return 0.0, 0.4
    return 0.25 + 0.5 * tissue.lumen, 0.4


def _paint_duct(haematoxylin: np.ndarray, eosin: np.ndarray, duct: _Duct) -> None:
    """Paints cytoplasm, border and lumen in place."""
    depth = duct.depth
    inside = depth < 1
    eosin[inside] = 0.42 + 0.06 * np.sin(9 * depth[inside])
    haematoxylin[inside] += 0.12
    border = np.exp(-(((depth - 1) * duct.radius / 1.2) ** 2))
    eosin += duct.membrane * 0.5 * border
    lumen = depth < duct.lumen
    eosin[lumen], haematoxylin[lumen] = 0.03, 0.01


def _scatter(
    rng: np.random.Generator, allowed: np.ndarray, count: int, spacing: float
) -> np.ndarray:
    """Returns up to `count` points [n, 2] in the allowed pixels, `spacing` or more apart."""
    rows, columns = np.nonzero(allowed)
    if len(rows) == 0:
        return np.empty((0, 2))
    drawn = rng.integers(0, len(rows), 4 * count)
    candidates = np.stack([rows[drawn], columns[drawn]], axis=1) + rng.uniform(
        -0.5, 0.5, (4 * count, 2)
    )
    free, kept = np.ones(len(candidates), bool), []
    for place in range(len(candidates)):
        if len(kept) == count:
            break
        if free[place]:
            kept.append(place)
            free &= ((candidates - candidates[place]) ** 2).sum(1) >= spacing**2
    return candidates[kept]


def _nuclei(
    tissue: Tissue, ducts: list[_Duct], rng: np.random.Generator
) -> Iterator[tuple[_Outline, float]]:
    """Yields every nucleus as its outline and its darkness, stroma first."""
    stroma = np.ones((SIZE, SIZE), bool)
    for duct in ducts:
        stroma &= duct.depth > 1.1
    for point in _scatter(rng, stroma, 4 + int(12 * tissue.fibrosis), 6):  # spindle cells
        spindle = _outline(rng, (point[0], point[1]), rng.uniform(1.8, 2.6), 0.1)
        yield dataclasses.replace(spindle, aspect=rng.uniform(2.5, 4)), rng.uniform(0.7, 0.9)
    for point in _scatter(rng, stroma, int(rng.poisson(22 * tissue.inflammation)), 3.5):
        yield _outline(rng, (point[0], point[1]), rng.uniform(1.7, 2.1), 0), rng.uniform(1.0, 1.2)

    radius = 2.2 + 2.4 * tissue.nuclear_size
    spacing = radius * (2.5 - 0.8 * tissue.cellularity)
    if tissue.kind == "Invasive":
        count = int(rng.poisson(10 + 50 * tissue.cellularity))
        cords = stroma & (np.abs(_texture(rng, (7, 7))) < 0.7)
        yield from _epithelium(tissue, _scatter(rng, cords, count, spacing), rng)
    for duct in ducts:
        margin = 0.6 * radius / duct.radius
        outer = max(1 - margin, (1 + duct.lumen) / 2)  # a thin wall still holds one layer
        inner = min(duct.lumen + margin, outer - 0.1) if duct.lumen > 0 else 0.0
        cells = (duct.depth <= outer) & (duct.depth >= inner)
        yield from _epithelium(tissue, _scatter(rng, cells, 120, spacing), rng)


def _epithelium(
    tissue: Tissue, points: np.ndarray, rng: np.random.Generator
) -> Iterator[tuple[_Outline, float]]:
    """Yields epithelial nuclei at the points; pleomorphism varies size, shape and darkness."""
    variation = 0.06 + 0.32 * tissue.pleomorphism
    for point in points:
        radius = (2.2 + 2.4 * tissue.nuclear_size) * np.exp(rng.normal(0, variation))
        outline = _outline(rng, (point[0], point[1]), min(radius, 9), tissue.pleomorphism)
        yield outline, float(np.clip(rng.normal(0.85, 0.5 * variation), 0.4, 1.3))


def _paint_nucleus(
    haematoxylin: np.ndarray, eosin: np.ndarray, outline: _Outline, darkness: float
) -> None:
    """Paints a nucleus with a soft edge and a darker rim, in place."""
    reach = int(np.ceil(1.6 * outline.radius * outline.aspect**0.5)) + 2
    row, column = int(outline.row), int(outline.column)
    part = (
        slice(max(row - reach, 0), max(row + reach + 1, 0)),
        slice(max(column - reach, 0), max(column + reach + 1, 0)),
    )
    depth = outline.depth(_ROWS[part], _COLUMNS[part])
    cover = 1 / (1 + np.exp(np.clip((depth - 1) * outline.radius / 0.35, -30, 30)))
    chromatin = darkness * (0.75 + 0.25 * np.minimum(depth, 1) ** 2)
    haematoxylin[part] += cover * (chromatin - haematoxylin[part])
    eosin[part] *= 1 - 0.6 * cover


def _stain(haematoxylin: np.ndarray, eosin: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Turns concentrations into an RGB image; laboratories differ in stain, focus and light."""
    vectors = np.array([_HAEMATOXYLIN, _EOSIN]) + rng.normal(0, 0.04, (2, 3))
    vectors = np.clip(vectors, 0.02, None)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    amounts = np.array([1.05, 0.75]) * np.exp(rng.normal(0, 0.22, 2))
    blur = rng.uniform(0.3, 1.0)
    stains = np.stack([haematoxylin, eosin], axis=-1)
    stains = ndimage.gaussian_filter(stains, (blur, blur, 0)) * amounts
    light = rng.uniform(0.90, 1.0) * 10 ** -(stains @ vectors)
    light += rng.normal(0, rng.uniform(0.005, 0.03), light.shape)
    return np.round(255 * np.clip(light, 0, 1)).astype(np.uint8)
