"""What golden tests compare: features and photographs that are random, and ones that are real.

Each records the largest difference that it saw: `pytest -o junit_family=xunit1 --junitxml=differences.xml` lists them.
"""

import numpy as np
import torch
from skimage.data import astronaut, chelsea, coffee, rocket
from sklearn.datasets import load_digits


def relative(ours, theirs):
    """The largest difference of two numbers or arrays, relative to the second."""
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    return float((np.abs(ours - theirs) / np.abs(theirs)).max())


def absolute(ours, theirs):
    """The largest difference of two numbers or arrays."""
    return float(np.abs(np.asarray(ours, np.float64) - np.asarray(theirs, np.float64)).max())


def frechet_by_torchmetrics(own, real):
    """torchmetrics' Fréchet distance of two sides of features, float64 [N, D]."""
    from torchmetrics.image.fid import FrechetInceptionDistance

    metric = FrechetInceptionDistance(feature=_Features(own.shape[1]))
    metric.update(torch.from_numpy(own), real=False)
    metric.update(torch.from_numpy(real), real=True)
    return metric.compute().item()


class _Features(torch.nn.Module):
    """In the place of a network: its inputs are features already."""

    def __init__(self, num_features):
        super().__init__()
        self.num_features = num_features

    def forward(self, features):
        return features


def random_features(num=300, num_real=300, dimension=24, shift=0.3):
    """Two sides of correlated normal features, float64."""
    random = np.random.default_rng(7)
    mixing = random.normal(size=(dimension, dimension)) / np.sqrt(dimension)
    return random.normal(shift, 1, (num, dimension)) @ mixing, random.normal(size=(num_real, dimension)) @ mixing


def real_features(num=300, num_real=300):
    """Pixels of handwritten digits, float64 [N, 64], those of one side noisy; they have many equal entries."""
    digits = np.random.default_rng(0).permutation(load_digits().data)
    noise = np.random.default_rng(1).integers(0, 4, (num, 64))
    return digits[:num] + noise, digits[num : num + num_real]


FEATURES = {"random": random_features, "real": real_features}


def photographs(size, num=4):
    """Windows of photographs, and the same with noise: uint8 [N, 3, size, size] twice, the noisy ones first."""
    photos = (astronaut(), chelsea(), coffee(), rocket())[:num]
    windows = torch.stack([torch.from_numpy(p[60 : 60 + size, 90 : 90 + size].copy()).permute(2, 0, 1) for p in photos])
    noise = 20 * torch.randn(windows.shape, generator=torch.Generator().manual_seed(0))
    return (windows + noise).clamp(0, 255).to(torch.uint8), windows


def noise_images(size, num=4):
    """The same of independent random pixels."""
    random = torch.Generator().manual_seed(0)
    shape = (num, 3, size, size)
    images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=random)
    return (images + 20 * torch.randn(shape, generator=random)).clamp(0, 255).to(torch.uint8), images


def noisy_pair(seed=0, num=4, channels=3):
    """Independent random pixels and the same with noise, uint8 [N, C, 16, 16] twice, the noisy ones first."""
    random = np.random.default_rng(seed)
    originals = random.integers(0, 256, (num, channels, 16, 16), dtype=np.uint8)
    noisy = np.clip(originals + random.normal(0, 20, originals.shape), 0, 255).astype(np.uint8)
    return noisy, originals


IMAGES = {"random": noise_images, "real": photographs}
