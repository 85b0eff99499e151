"""Training with few labels, in eva's own trainer on tiny random data."""

import math

import eva
import pytest
import torch

from clipit_eva.models import authors_text_schedule, positive_probability
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


def test_metrics_of_a_binary_task_take_one_logit_or_two():
    logits = torch.randn(9, 2)
    expected = logits.softmax(dim=1)[:, 1]
    torch.testing.assert_close(positive_probability(logits), expected)
    torch.testing.assert_close(positive_probability(logits[:, 1] - logits[:, 0]), expected)


def test_text_only_schedule_of_the_authors_counts_steps(make_data, make_trainer):
    """Six steps in two epochs: eva's own schedules would have counted two."""
    head = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(768, 4))
    module = eva.HeadModule(
        head=head,
        criterion=torch.nn.CrossEntropyLoss(),
        optimizer=lambda parameters: torch.optim.Adam(parameters, lr=1e-3),
        lr_scheduler=authors_text_schedule,
    )
    trainer = make_trainer(callbacks=[])
    trainer.fit(module, datamodule=make_data(distill_weight=0.0))
    (rate,) = {group["lr"] for group in trainer.optimizers[0].param_groups}
    expected = 1e-4 + (1e-3 - 1e-4) * (1 + math.cos(math.pi * 6 / 12_500)) / 2
    assert rate == pytest.approx(expected, rel=1e-9)
    assert rate != pytest.approx(1e-3, rel=1e-9)
    last = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=1e-3)
    schedule = authors_text_schedule(last)["scheduler"]
    last.step()
    for _ in range(12_500):
        schedule.step()
    assert last.param_groups[0]["lr"] == pytest.approx(1e-4)
