"""The distillation losses by name, and what is told of their gradients."""

import warnings
from importlib import metadata

import numpy as np
import pytest
import torch
from scipy import special

from clipit_eva.errors import InputError
from clipit_eva.models import distillation
from clipit_eva.models.distillation import (
    GradientWatch,
    TrainingTexts,
    find_distillation,
    training_texts,
)
from clipit_eva.models.losses import distillation_loss


@pytest.fixture
def drawn():
    generator = torch.Generator().manual_seed(0)
    texts = torch.randn(4, 8, generator=generator) + 3
    reports = torch.tensor([2, 0, 2, 3, 0, 1])
    return torch.randn(6, 8, generator=generator), texts[reports], reports[:, None]


@pytest.fixture
def texts(drawn) -> TrainingTexts:
    return TrainingTexts(drawn[1].mean(0), 4)


def test_cosine_is_the_papers_to_the_last_bit(drawn, texts):
    loss = find_distillation("cosine")(texts)(*drawn)
    assert loss.item() == distillation_loss(drawn[0], drawn[1]).item()


def test_centred_cosine_asks_for_what_is_not_in_the_mean(drawn, texts):
    loss = find_distillation("centred_cosine")(texts)
    projected, text, reports = drawn
    expected = distillation_loss(projected, text - texts.mean)
    assert loss(*drawn).item() == pytest.approx(expected.item())
    assert loss(text - texts.mean, text, reports).item() == pytest.approx(0, abs=1e-6)


def test_contrastive_counts_identical_reports_once(drawn, texts):
    projected, text, rows = (given.numpy() for given in drawn)
    reports = rows[:, 0]
    images = projected / np.linalg.norm(projected, axis=1, keepdims=True)
    distinct = np.stack([text[reports == report][0] for report in range(4)])
    distinct /= np.linalg.norm(distinct, axis=1, keepdims=True)
    logits = images @ distinct.T / 0.07
    expected = -special.log_softmax(logits, axis=1)[np.arange(6), reports].mean()
    loss = find_distillation("contrastive")(texts)
    assert loss(*drawn).item() == pytest.approx(expected, rel=1e-5)
    assert loss(drawn[0], drawn[1], torch.zeros(6, 1, dtype=torch.int64)).item() == 0


def test_contrastive_tells_apart_what_differs_in_any_of_the_top_k(texts):
    text = torch.eye(8)[:2]
    best_alike = torch.tensor([[4, 1], [4, 2]])
    loss = find_distillation("contrastive")(texts)
    assert loss(text, text, best_alike).item() == pytest.approx(
        np.log1p(np.exp(-1 / 0.07)), abs=1e-6
    )
    assert loss(text.flip(0), text, best_alike).item() > 10


def test_the_mean_text_earns_much_of_the_cosine_and_nothing_of_the_centred_one(drawn, texts):
    _, text, reports = drawn
    plain = find_distillation("cosine")(texts).of_mean_text(text, reports)
    centred = find_distillation("centred_cosine")(texts).of_mean_text(text, reports)
    cosines = torch.nn.functional.cosine_similarity(texts.mean.expand_as(text), text)
    assert plain.item() == pytest.approx(1 - cosines.mean().item())
    assert plain < 0.2
    assert centred.item() == pytest.approx(1)
    assert find_distillation("cosine")(None).of_mean_text(text, reports) is None


def test_training_texts_weigh_reports_by_their_images():
    embeddings = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    rows, weights = np.array([[0, 1], [1, 4], [1, 0]]), np.array([[0.5, 0.5], [1, 0], [0.8, 0.2]])
    texts = training_texts(rows, weights, embeddings)
    each = [weights[place] @ embeddings[rows[place]] for place in range(3)]
    np.testing.assert_allclose(texts.mean, np.mean(each, axis=0), rtol=1e-6)
    assert texts.distinct == 2


def test_centred_cosine_needs_several_reports():
    with pytest.raises(InputError, match="all training images have the same report"):
        find_distillation("centred_cosine")(TrainingTexts(torch.ones(3), 1))
    with pytest.raises(InputError, match="PairedDataset"):
        find_distillation("centred_cosine")(None)


def test_names():
    with pytest.raises(InputError, match="DISTILLATION=cosin is unknown; use one of cosine, cen"):
        find_distillation("cosin")


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Another package, as pip leaves it, with the entry points given."""

    def install(**entries: str) -> None:
        folder = tmp_path / "their_losses-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text("Name: their-losses\nVersion: 1.0\n")
        lines = [f"{name} = {target}" for name, target in entries.items()]
        text = "\n".join([f"[{distillation.ENTRY_POINTS}]", *lines])
        (folder / "entry_points.txt").write_text(text)
        (tmp_path / "their_losses.py").write_text(
            "from clipit_eva.models.distillation import DistillationLoss\n"
            "from clipit_eva.models.losses import distillation_loss\n\n"
            "class Halved(DistillationLoss):\n"
            "    def forward(self, projected, text, reports):\n"
            "        return 0.5 * distillation_loss(projected, text)\n"
        )
        monkeypatch.syspath_prepend(tmp_path)

    return install


def test_another_package_brings_a_loss(installed, drawn):
    installed(halved="their_losses:Halved", cosine="their_losses:Halved", gone="their_losses:Gone")
    assert "halved" in metadata.entry_points(group=distillation.ENTRY_POINTS).names
    loss = find_distillation("halved")(None)
    assert loss(*drawn).item() == 0.5 * distillation_loss(drawn[0], drawn[1]).item()
    with pytest.raises(InputError, match="registered by clipit_eva and their-losses"):
        find_distillation("cosine")
    with pytest.raises(
        InputError, match="DISTILLATION=gone of package their-losses cannot be imported"
    ):
        find_distillation("gone")


def test_a_small_gradient_of_the_text_is_told_once():
    at = torch.ones(3, requires_grad=True)
    watch = GradientWatch()
    with pytest.warns(UserWarning, match="step 7: the text's gradient is 2.0% of the criterion's"):
        ratio = watch.compare(0.02 * at.sum(), at.sum(), at, 7)
    assert ratio == pytest.approx(0.02)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        watch.compare(0.02 * at.sum(), at.sum(), at, 8)
    assert at.grad is None
