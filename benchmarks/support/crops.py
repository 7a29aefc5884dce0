"""Any number of real images for measurements: augmented crops of the photographs and digits that packages bring."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from torch import Tensor

from flows.sources.open import open_source
from gan_models.config import ExtractorConfig
from gan_models.evaluation.features.extractor import load_extractor
from gan_models.evaluation.stats.intervals import Array
from gan_models.ingest.decoding import decode

ROOT = Path(__file__).parents[2]
SHARE_OF_DIGITS = 0.2
SMALLEST_CROP = 0.15  # of a photograph's shorter side
Pixels = NDArray[np.uint8]


def crops(num: int, size: int, seed: int) -> Pixels:
    """Crops of random place, scale and side, uint8 [num, 3, size, size]; a fifth of them digits, moved and scaled."""
    random = np.random.default_rng(seed)
    photographs, digits = (
        [decode(item.read()).convert("RGB") for item in open_source(spec, ROOT).items()]
        for spec in ("builtin:photos", "builtin:digits")
    )
    images = [
        _digit(digits, size, random) if random.random() < SHARE_OF_DIGITS else _crop(photographs, size, random)
        for _ in range(num)
    ]
    return np.stack([np.asarray(image) for image in images]).transpose(0, 3, 1, 2)


def _crop(photographs: list[Image.Image], size: int, random: np.random.Generator) -> Image.Image:
    photograph = photographs[random.integers(len(photographs))]
    side = min(photograph.size) * random.uniform(SMALLEST_CROP, 1)
    left, top = ((length - side) * random.random() for length in photograph.size)
    box = (left, top, left + side, top + side)
    crop = photograph.resize((size, size), Image.Resampling.BILINEAR, box, reducing_gap=2.0)
    return crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if random.random() < 0.5 else crop


def _digit(digits: list[Image.Image], size: int, random: np.random.Generator) -> Image.Image:
    digit = digits[random.integers(len(digits))].resize((size, size), Image.Resampling.BICUBIC)
    zoom, x, y = random.uniform(0.8, 1.3), *random.uniform(-0.15, 0.15, 2) * size
    return digit.transform(digit.size, Image.Transform.AFFINE, (zoom, 0, x, 0, zoom, y), Image.Resampling.BILINEAR)


def noisy(images: Pixels, sigma: float, seed: int) -> Pixels:
    """With Gaussian noise of standard deviation `sigma` on the 0-255 scale."""
    noise = np.random.default_rng(seed).normal(0, sigma, images.shape)
    return (images + noise).round().clip(0, 255).astype(np.uint8)


def blurred(images: Pixels, sigma: float) -> Pixels:
    """By a Gaussian of standard deviation `sigma`, in pixels."""
    pictures = (Image.fromarray(image.transpose(1, 2, 0)) for image in images)
    return np.stack([np.asarray(picture.filter(ImageFilter.GaussianBlur(sigma))) for picture in pictures]).transpose(
        0, 3, 1, 2
    )


def features_of(images: Pixels) -> Array:
    """EfficientNet-Lite0's, float64 [N, 1280], at 64 pixels."""
    tensor: Tensor = torch.from_numpy(np.ascontiguousarray(images))
    return load_extractor(ExtractorConfig(size=64)).features(tensor)
