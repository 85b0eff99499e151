"""Trains the demo's backbone to predict statistics of colour and texture, without any label."""

import numpy as np
import torch
from scipy import ndimage
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from clipit_eva.demo import backbone


def image_statistics(images: np.ndarray) -> np.ndarray:
    """Returns simple statistics of each quarter of each image.

    Args:
        images: RGB images [N, H, W, 3], uint8.

    Returns:
        [N, 20], float32: for each quarter the mean optical density of red and blue, and the
        standard deviation of red at three scales, each standardised over the images.
    """
    density = -np.log10((images[..., (0, 2)].astype(np.float32) + 1) / 256)
    red = density[..., 0]
    smooth = [ndimage.gaussian_filter(red, (0, sigma, sigma)) for sigma in (1, 2, 4)]
    bands = [red - smooth[0], smooth[0] - smooth[1], smooth[1] - smooth[2]]
    middle = images.shape[1] // 2
    columns = []
    for rows in (slice(None, middle), slice(middle, None)):
        for across in (slice(None, middle), slice(middle, None)):
            columns += list(density[:, rows, across].mean((1, 2)).T)
            columns += [np.log(band[:, rows, across].std((1, 2)) + 1e-3) for band in bands]
    table = np.stack(columns, axis=1)
    return (table - table.mean(0)) / table.std(0)


def train_backbone(images: np.ndarray, *, epochs: int, seed: int) -> VisionTransformer:
    """Trains the backbone from scratch on the statistics of the images.

    Args:
        images: RGB images [N, IMAGE_SIZE, IMAGE_SIZE, 3], uint8.
        epochs: Passes over the images.
        seed: Fixes initial weights and order.

    Returns:
        The backbone without the head that predicted the statistics.
    """
    torch.manual_seed(seed)
    model = backbone.untrained()
    targets = torch.from_numpy(image_statistics(images))
    head = nn.Linear(backbone.FEATURES, targets.shape[1])
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
            total += loss.item() * 64 * epochs / (steps * 64)
        print(f"backbone epoch {epoch + 1}/{epochs}: mean squared error {total:.3f}", flush=True)
    return model.eval()
