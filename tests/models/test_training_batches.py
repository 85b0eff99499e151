"""Training with few labels, in eva's own trainer on tiny random data."""

import pytest
import torch

from clipit_eva.models.checkpoints import SETTINGS_KEY, read_checkpoint
from clipit_eva.models.distillation import TrainingTexts


class Counted(torch.nn.CrossEntropyLoss):
    """The criterion, with the targets that it saw."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[torch.Tensor] = []

    def forward(self, logits, targets):
        if torch.is_grad_enabled():
            self.seen.append(targets.clone())
        return super().forward(logits, targets)


def test_the_criterion_sees_labelled_samples_alone(fitted, make_data):
    criterion = Counted()
    data = make_data(labels={"labels_per_class": 1, "unlabelled": None, "distill_weight": 1.0})
    module, _, watch = fitted(data, criterion=criterion)
    seen = torch.cat(criterion.seen)
    assert sorted(seen.tolist()) == sorted(2 * [0, 1, 2, 3])  # two epochs
    assert len(watch.modes) == 6  # all batches of eight, also those without any label
    parameters = dict(module.named_parameters())
    assert all(torch.isfinite(p).all() for p in parameters.values())


def test_dropped_samples_are_in_no_batch(fitted, make_data):
    *_, watch = fitted(make_data(labels={"labels_per_class": 1}))
    assert len(watch.modes) == 2  # one batch of four an epoch


@pytest.mark.parametrize("name", ["centred_cosine", "contrastive"])
def test_other_losses_train_and_keep_the_mean_text(fitted, make_data, source, name):
    data = make_data()
    _, path, _ = fitted(data, distillation=name)
    mean = read_checkpoint(path, "CHECKPOINT")[SETTINGS_KEY]["mean_text"]
    assert mean is None  # after training nothing keeps text
    best = fitted(make_data(), distillation=name)[2].best
    mean = read_checkpoint(best, "CHECKPOINT")[SETTINGS_KEY]["mean_text"]
    rows, weights = data.datasets.train.pairs
    embeddings = source.embeddings()
    expected = sum(weights[i] @ embeddings[rows[i]] for i in range(24)) / 24
    torch.testing.assert_close(mean, torch.tensor(expected))


def test_gradients_are_compared_where_metrics_are_kept(make_module, make_data, make_trainer):
    module = make_module()
    trainer = make_trainer(log_every_n_steps=2, max_epochs=1)
    trainer.fit(module, datamodule=make_data())
    assert trainer.logged_metrics["train/distillation_gradient_ratio"] > 0
    assert 0 < trainer.logged_metrics["train/distillation_loss_of_mean_text"] < 2


def test_one_report_for_all_images_has_no_centre(make_module):
    module = make_module(distillation="centred_cosine")
    with pytest.raises(Exception, match="all training images have the same report"):
        module._distillation(TrainingTexts(torch.ones(3), 1))
