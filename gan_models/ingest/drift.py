"""How images that were added differ from those that were there before, in a few numbers."""

from collections import Counter
from dataclasses import asdict, dataclass, field

import numpy as np

MIN_IMAGES = 30  # on either side; of fewer, the means differ by chance alone


@dataclass
class Profile:
    """Counts, labels and statistics of a set of images, in constant memory but for the labels."""

    num_images: int = 0
    labels: Counter[str | None] = field(default_factory=Counter)
    _sums: "np.ndarray[tuple[int], np.dtype[np.int64]]" = field(default_factory=lambda: np.zeros(14, np.int64))
    _squares: "np.ndarray[tuple[int], np.dtype[np.int64]]" = field(default_factory=lambda: np.zeros(14, np.int64))

    def add(self, stats: bytes | None, label: str | None) -> None:
        """Add one image. `stats`: as `ImageStats.pack` writes them."""
        self.num_images += 1
        self.labels[label] += 1
        if stats is not None:
            values = np.frombuffer(stats, np.uint8).astype(np.int64)
            self._sums += values
            self._squares += values**2

    @property
    def means(self) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
        """Return those of brightness, contrast, red, green, blue, sharpness and eight orientations, in bytes."""
        return self._sums / max(self.num_images, 1)

    @property
    def deviations(self) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
        """Return the standard deviations of the same; one level at least, so that no difference is infinite."""
        variance = self._squares / max(self.num_images, 1) - self.means**2
        return np.sqrt(np.maximum(variance, 1.0))


@dataclass(frozen=True)
class Drift:
    """Differences between images that are added and those that were there.

    growth: images added, as a share of those there
    labels: total variation between the shares of the labels: 0 the same, 1 none in common
    brightness: difference of the mean luminances, in standard deviations of the images there
    color: of the channels' means, root mean square of the three, in the same unit
    features: of contrast, sharpness and the eight orientations of the gradient, root mean square, in the same unit
    """

    growth: float
    labels: float
    brightness: float
    color: float
    features: float

    def as_dict(self) -> dict[str, float]:
        """Return the differences by name."""
        return asdict(self)


def drift(before: Profile, added: Profile) -> Drift | None:
    """Return how `added` differs from `before`; None where one of them has fewer than `MIN_IMAGES`."""
    if min(before.num_images, added.num_images) < MIN_IMAGES:
        return None
    names = before.labels.keys() | added.labels.keys()
    labels = sum(abs(before.labels[name] / before.num_images - added.labels[name] / added.num_images) for name in names)
    away = (added.means - before.means) / before.deviations

    def size(*columns: int) -> float:
        return float(np.sqrt(np.mean(away[list(columns)] ** 2)))

    return Drift(
        growth=added.num_images / before.num_images,
        labels=labels / 2,
        brightness=size(0),
        color=size(2, 3, 4),
        features=size(1, 5, *range(6, 14)),
    )
