"""Trains the demo's backbone to predict statistics of colour and grain, without any label."""

import numpy as np
import torch
from scipy import ndimage
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from clipit_eva.demo import demo_backbone

_SQUARES = (3, 5, 7, 9, 13)
"""Sides in pixels of the squares that sieve the image."""


def image_statistics(images: np.ndarray) -> np.ndarray:
    """Returns statistics of colour and grain of each image.

    The grain is a granulometry (Serra, "Image analysis and mathematical morphology", 1982): how
    much of what is dark in red (nuclei) and bright in green (lumens, gaps) is lost when the image
    is opened or closed with squares of growing size.

    RGB images [N, H, W, 3], uint8 -> [N, 2 + 2 * len(_SQUARES)], float32, each column standardised.
    """
    density = -np.log10((images[..., :2].astype(np.float32) + 1) / 256)
    red, green = ndimage.gaussian_filter(density, (0, 0.5, 0.5, 0)).transpose(3, 0, 1, 2)
    columns = [red.mean((1, 2)), green.mean((1, 2))]
    for side in _SQUARES:
        columns.append((red - ndimage.grey_opening(red, (1, side, side))).mean((1, 2)))
        columns.append((ndimage.grey_closing(green, (1, side, side)) - green).mean((1, 2)))
    table = np.log(np.stack(columns, axis=1) + 1e-3)
    return (table - table.mean(0)) / table.std(0)


def train_backbone(images: np.ndarray, *, epochs: int, seed: int) -> VisionTransformer:
    """Trains the backbone on the statistics of RGB images [N, IMAGE_SIZE, IMAGE_SIZE, 3], uint8.

    The seed fixes initial weights and order. The head that predicts the statistics is left out.
    """
    torch.manual_seed(seed)
    model = demo_backbone.untrained()
    targets = torch.from_numpy(image_statistics(images))
    head = nn.Linear(demo_backbone.FEATURES, targets.shape[1])
    network = nn.Sequential(model, head)
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2)
    steps = epochs * (len(images) // 64)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=steps)
    for epoch in range(epochs):
        total = 0.0
        for rows in torch.randperm(len(images))[: steps // epochs * 64].view(-1, 64):
            loss = nn.functional.mse_loss(network(pixels[rows] / 127.5 - 1), targets[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * epochs / steps
        print(f"backbone epoch {epoch + 1}/{epochs}: mean squared error {total:.3f}", flush=True)
    return model.eval()
