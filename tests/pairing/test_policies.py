"""Policies against their definitions, written out in float64."""

import numpy as np
import pytest

from clipit_eva.errors import InputError
from clipit_eva.pairing.controls import CONTROLS
from clipit_eva.pairing.policies import PairingPolicy


def unit(count: int, width: int, seed: int, shift: float = 0.0) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(count, width)) + shift
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


IMAGES, REPORTS = unit(300, 24, 0, 0.3), unit(80, 24, 1, 0.3)
COSINES = IMAGES.astype(float) @ REPORTS.astype(float).T


def chosen(policy: PairingPolicy, k: int = 3, stream: int = 0) -> np.ndarray:
    bias = policy.bias(IMAGES, REPORTS)
    return policy.pair(IMAGES, REPORTS, k, bias=bias, stream=stream)[0]


def test_nearest() -> None:
    expected = np.argsort(-COSINES, axis=1)[:, :3]
    assert chosen(PairingPolicy()).tolist() == expected.tolist()


@pytest.mark.parametrize("neighbours", [1, 10, 1000])
def test_csls_is_its_definition(neighbours: int) -> None:
    """2 cos(x, y) - r(x) - r(y), by the mean cosines of the nearest neighbours."""
    of_reports = np.sort(COSINES, axis=0)[::-1][:neighbours].mean(axis=0)
    of_images = np.sort(COSINES, axis=1)[:, ::-1][:, :neighbours].mean(axis=1)
    scores = 2 * COSINES - of_images[:, None] - of_reports
    expected = np.argsort(-scores, axis=1)[:, :3]
    assert chosen(PairingPolicy("csls", neighbours=neighbours)).tolist() == expected.tolist()


@pytest.mark.parametrize("temperature", [0.02, 0.3])
def test_inverted_softmax_is_its_definition(temperature: float) -> None:
    """The softmax over images, for each report."""
    weights = np.exp(COSINES / temperature)
    expected = np.argsort(-weights / weights.sum(axis=0), axis=1)[:, :3]
    policy = PairingPolicy("inverted_softmax", temperature=temperature)
    assert chosen(policy).tolist() == expected.tolist()


@pytest.mark.parametrize("name", ["csls", "inverted_softmax"])
def test_correction_spreads_the_images_over_more_reports(name: str) -> None:
    used = {
        policy: len(np.unique(chosen(PairingPolicy(policy), 1))) for policy in ("nearest", name)
    }
    assert used[name] > used["nearest"]


@pytest.mark.parametrize("name", ["csls", "inverted_softmax", "nearest"])
def test_similarity_is_the_cosine(name: str) -> None:
    policy = PairingPolicy(name)
    rows, cosines = policy.pair(IMAGES, REPORTS, 4, bias=policy.bias(IMAGES, REPORTS))
    np.testing.assert_allclose(cosines, np.take_along_axis(COSINES, rows, axis=1), atol=1e-6)


def test_shuffled_pairs_are_the_nearest_ones_permuted() -> None:
    shuffled, nearest = chosen(PairingPolicy("shuffled")), chosen(PairingPolicy("nearest"))
    assert sorted(shuffled.tolist()) == sorted(nearest.tolist())
    assert (shuffled != nearest).any(axis=1).mean() > 0.9


@pytest.mark.parametrize("k", [1, 3, 60, 80])
def test_random_reports_of_an_image_are_distinct_and_uniform(k: int) -> None:
    rows = chosen(PairingPolicy("random"), k)
    assert all(len(set(row)) == k for row in rows.tolist())
    counts = np.bincount(rows.ravel(), minlength=80)
    # Each report is chosen with probability k / 80 for each of 300 images.
    sd = np.sqrt(300 * k / 80 * (1 - k / 80))
    assert np.abs(counts - 300 * k / 80).max() <= 4.5 * sd


def test_constant_reports_are_those_of_every_image_of_every_split() -> None:
    rows = np.concatenate([chosen(PairingPolicy("constant"), stream=n) for n in range(2)])
    assert (rows == rows[0]).all()
    assert len(set(rows[0].tolist())) == 3


@pytest.mark.parametrize("name", CONTROLS)
def test_controls_are_seeded_and_uncompared(name: str) -> None:
    policies = [PairingPolicy(name, seed=seed) for seed in (1, 1, 2)]
    one, same, other = (chosen(policy) for policy in policies)
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert np.isnan(policies[0].pair(IMAGES, REPORTS, 2)[1]).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "farthest"}, "PAIRING_POLICY=farthest must be one of nearest, csls"),
        ({"neighbours": 0}, "neighbours=0 must be at least 1"),
        ({"temperature": 0.0}, "temperature=0.0 must be above 0"),
        ({"seed": -1}, "PAIRING_SEED=-1"),
    ],
)
def test_what_is_out_of_range_is_named(arguments: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        PairingPolicy(**arguments)
