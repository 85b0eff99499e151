"""The losses of CLIP-IT, and the classification criteria that a config can name."""

import torch
from torch import nn
from torch.nn import functional

from clipit_eva.errors import InputError


def distillation_loss(projected: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
    """Returns the mean cosine distance between projected vision and text embeddings.

    Args:
        projected: Vision embeddings in the text space [B, t], float.
        text: Embeddings of the paired reports [B, t], float; their length is ignored.

    Returns:
        A scalar in [0, 2]. Reference: arXiv 2504.16181, section 3(b).
    """
    return (1 - functional.cosine_similarity(projected, text, dim=-1)).mean()


class SoftmaxCrossEntropyLoss(nn.Module):
    """Cross-entropy of the *softmax* of the logits: the authors' criterion.

    The softmax is taken twice, once here and once in the cross-entropy, so that the gradient is
    weaker than that of plain cross-entropy. It is here to reproduce published numbers.
    """

    def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Returns the scalar loss of logits [B, C] and class indices [B], int64."""
        return functional.cross_entropy(logits.softmax(dim=-1), targets)


CRITERIA: dict[str, type[nn.Module]] = {
    "cross_entropy": nn.CrossEntropyLoss,
    "softmax_cross_entropy": SoftmaxCrossEntropyLoss,
    "binary_cross_entropy": nn.BCEWithLogitsLoss,
}
"""Criteria by name. The binary one reads one logit a sample, the others one a class."""


def build_criterion(criterion: str | nn.Module, num_classes: int) -> nn.Module:
    """Returns the criterion of a name, checked against the number of logits.

    Args:
        criterion: A key of `CRITERIA`, or a module that is returned unchanged.
        num_classes: Number of logits.

    Raises:
        InputError: The name is unknown, or does not fit the number of logits.
    """
    if isinstance(criterion, nn.Module):
        return criterion
    if criterion not in CRITERIA:
        raise InputError(f"CRITERION={criterion} is unknown; use one of {', '.join(CRITERIA)}")
    if (criterion == "binary_cross_entropy") != (num_classes == 1):
        raise InputError(
            f"CRITERION={criterion} does not fit {num_classes} logit(s): binary_cross_entropy "
            "goes with one, the others with one a class; choose another"
        )
    return CRITERIA[criterion]()
