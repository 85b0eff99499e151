"""The text side of training: cached and encoded reports."""

from collections.abc import Sequence

import pytest
import torch
from torch import nn

from clipit_eva.embeddings.report_source import ReportSource
from clipit_eva.models.losses import distillation_loss
from clipit_eva.models.report_features import CachedReports, EncodedReports, drop_words

ROWS = torch.tensor([[3, 1], [3, 0], [5, 1], [0, 0]])


class CountingEncoder(nn.Module):
    """Counts the reports that reach the encoder inside."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.sizes: list[int] = []

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        self.sizes.append(len(tokens))
        return self.encoder(tokens)


class Tape:
    """Keeps the texts that are tokenized."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def __call__(self, texts: Sequence[str]) -> torch.Tensor:
        self.texts.extend(texts)
        return torch.zeros(len(texts), 1, dtype=torch.int64)


@pytest.fixture
def encoded(source: ReportSource) -> EncodedReports:
    clip = source.load_clip()
    return EncodedReports(CountingEncoder(clip.text_encoder), source.corpus().texts, clip.tokenize)


def test_only_distinct_reports_are_encoded(encoded: EncodedReports) -> None:
    assert encoded(ROWS).shape == (4, 2, 16)
    assert encoded.encoder.sizes == [len({3, 1, 0, 5})]


def test_encoded_equals_each_row_apart_with_gradients(
    encoded: EncodedReports, source: ReportSource
) -> None:
    encoder = encoded.encoder.encoder.requires_grad_(True).double()  # rounding below the bound
    tokens = source.load_clip().tokenize(source.corpus().texts)
    direction = torch.randn(4, 2, 16, generator=torch.Generator().manual_seed(0)).double()
    together = encoded(ROWS)
    (together * direction).sum().backward()
    gradients = {name: p.grad.clone() for name, p in encoder.named_parameters()}
    encoder.zero_grad()
    apart = torch.stack(
        [torch.cat([encoder(tokens[row : row + 1]) for row in pair]) for pair in ROWS.tolist()]
    )
    (apart * direction).sum().backward()
    torch.testing.assert_close(together, apart, rtol=0, atol=1e-6)
    assert any(gradient.any() for gradient in gradients.values())
    for name, parameter in encoder.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad, rtol=0, atol=1e-6)


def test_cached_equals_encoded_in_loss_and_gradient(
    encoded: EncodedReports, source: ReportSource
) -> None:
    encoded.requires_grad_(False)
    cached = CachedReports(source.embeddings())
    projection = nn.Linear(5, 16)
    vision = torch.randn(4, 5)
    found = []
    for reports in (cached, encoded):
        projection.zero_grad()
        loss = distillation_loss(projection(vision), reports(ROWS).mean(dim=1))
        loss.backward()
        found.append((loss.detach(), projection.weight.grad.clone()))
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=1e-5)


def test_cached_embeddings_travel_with_the_module_but_not_with_checkpoints(
    source: ReportSource,
) -> None:
    cached = CachedReports(source.embeddings())
    assert cached.state_dict() == {}
    assert list(cached.parameters()) == []
    assert cached.to("meta").embeddings.device.type == "meta"


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.5, 0.99])
@pytest.mark.parametrize("count", [1, 2, 10, 57])
def test_drop_words_leaves_out_the_share_in_order(share: float, count: int) -> None:
    words = [str(number) for number in range(count)]
    stay = drop_words(" ".join(words), share).split()
    assert abs(count - len(stay) - share * count) <= 0.5 or len(stay) == 1
    assert stay == sorted(stay, key=int)
    assert set(stay) <= set(words)
    assert len(set(stay)) == len(stay)


def test_every_word_is_left_out_as_often() -> None:
    torch.manual_seed(0)
    text = " ".join(str(number) for number in range(10))
    counts = torch.zeros(10)
    for _ in range(2000):
        counts[[int(word) for word in drop_words(text, 0.3).split()]] += 1
    # Binomial with p = 0.7: standard deviation 20.5 around 1400; five of them.
    assert (counts - 1400).abs().max() < 103


def test_dropout_draws_anew_at_each_reading_in_training_alone() -> None:
    tape = Tape()
    text = " ".join(str(number) for number in range(40))
    encoder = nn.Flatten()
    reports = EncodedReports(encoder, [text], tape, word_dropout=0.3)
    row = torch.zeros(1, 1, dtype=torch.int64)
    torch.manual_seed(0)
    for _ in range(5):
        reports(row)
    assert {len(read.split()) for read in tape.texts} == {28}
    assert len(set(tape.texts)) == 5
    first = list(tape.texts)
    torch.manual_seed(0)
    for _ in range(5):
        reports(row)
    assert tape.texts[5:] == first
    reports.eval()
    reports(row)
    assert tape.texts[-1] == text


def test_a_report_of_several_windows_has_their_mean_direction() -> None:
    table = torch.nn.functional.normalize(torch.randn(5, 8), dim=1)
    module = EncodedReports(
        lambda ids: table[ids[:, 0]],  # type: ignore[arg-type]
        [["0", "1"], "2", ["3"], ["0", "3", "4"]],
        lambda texts: torch.tensor([[int(text)] for text in texts]),
    )
    found = module(torch.tensor([[3, 0], [1, 2]]))
    means = [table[[0, 3, 4]].mean(0), table[[0, 1]].mean(0), table[2], table[3]]
    expected = torch.nn.functional.normalize(torch.stack(means), dim=1).reshape(2, 2, 8)
    torch.testing.assert_close(found, expected)
