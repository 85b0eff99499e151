"""What follows a matrix product: the functions for accelerators against those for a CPU."""

import math

import pytest
import torch

from clipit_eva.pairing import accelerator, cpu


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("crowd", [6, 1000])
@pytest.mark.parametrize("kind", [torch.uint8, torch.float32])
def test_finds_the_same_as_a_cpu(kind: torch.dtype, crowd: int, biased: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    k, groups = 4, 25
    queries = torch.randn(30, 48, generator=generator)
    bank = torch.randn(16 * groups - 7, 48, generator=generator)
    bank[60] = bank[33]
    bias = torch.randn(len(bank), generator=generator).double() if biased else None
    scores = queries @ bank.T + (0 if bias is None else bias)
    padded = torch.cat([scores, scores[:, -1:].expand(-1, 7)], dim=1)
    values = (padded * 5 + 100).clamp(0, 255).to(kind)
    values = values.view(30, groups, 16).transpose(1, 2).flatten(1).contiguous()
    found = []
    for steps in (accelerator, cpu):
        maxima, kth = steps.best_groups(values, 16, k)
        least = (kth.float() - 3).to(kind)
        neighbours, complete = steps.settle(values, maxima, least, crowd, k, queries, bank, bias)
        assert complete.any()
        assert complete.all() == (crowd > groups)
        found.append((maxima, kth, neighbours, complete))
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])
    assert torch.equal(found[0][3], found[1][3])
    assert torch.equal(found[0][2].rows, found[1][2].rows)
    torch.testing.assert_close(found[0][2].scores, found[1][2].scores, rtol=0, atol=1e-13)
    expected = (queries.double() @ bank.double().T + (0 if bias is None else bias)).topk(k).values
    complete, scores = found[1][3], found[1][2].scores
    torch.testing.assert_close(scores[complete], expected[complete], rtol=0, atol=1e-13)
    assert (scores[~complete] == -math.inf).all()
