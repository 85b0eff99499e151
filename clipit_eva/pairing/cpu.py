"""What follows a matrix product, on tensors of a CPU; `accelerator` has the same functions."""

import torch

from clipit_eva.pairing import kernels
from clipit_eva.pairing.neighbours import Neighbours


def best_groups(values: torch.Tensor, places: int, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Finds the largest value of each group, and the k-th largest of these.

    Args:
        values: Approximate scores [n, places * groups], uint8 or float32: place p of group g is at
            p * groups + g.
        places: Values of each group.
        k: At most the number of groups.

    Returns:
        The groups' largest values [n, groups], and the k-th largest of these [n].
    """
    maxima = values.new_empty(len(values), values.shape[1] // places)
    kth = values.new_empty(len(values))
    kernels.best_groups(values.numpy(), k, maxima.numpy(), kth.numpy())
    return maxima, kth


def settle(
    values: torch.Tensor,
    maxima: torch.Tensor,
    least: torch.Tensor,
    crowd: int,
    k: int,
    queries: torch.Tensor,
    bank: torch.Tensor,
    bias: torch.Tensor | None,
) -> tuple[Neighbours, torch.Tensor]:
    """Finds each query's rows with the best exact scores among those above a level.

    Args:
        values: Approximate scores [n, places * groups], as for `best_groups`.
        maxima: The groups' largest ones [n, groups].
        least: Rows with a lower approximate score are not looked at [n], of the same kind.
        crowd: Queries for which more groups than this must be looked at are left out.
        k: Number of neighbours.
        queries: Rows [n, d], float32.
        bank: Rows [m, d], float32.
        bias: What is added to each row's cosines [m], float64.

    Returns:
        The neighbours, and which queries were not left out [n].
    """
    found = Neighbours.none(len(queries), k)
    complete = torch.empty(len(queries), dtype=torch.bool)
    kernels.settle(
        values.numpy(),
        maxima.numpy(),
        least.numpy(),
        crowd,
        queries.numpy(),
        bank.numpy(),
        bank.new_empty(0).double().numpy() if bias is None else bias.numpy(),
        (found.rows.numpy(), found.scores.numpy(), found.cosines.numpy()),
        complete.numpy(),
    )
    return found, complete
