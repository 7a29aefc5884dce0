"""How a stored image becomes one of the size that a model works on, and what that costs."""

from collections import Counter
from collections.abc import Iterable

from PIL import Image, ImageOps

from gan_models.config import ImageConfig

Size = tuple[int, int]  # width and height in pixels


def fitted(picture: Image.Image, image: ImageConfig, *, nearest: bool = False) -> Image.Image:
    """Return a picture as `image.fit` wants it; bicubic with antialiasing, or of the nearest pixels, as masks are.

    `fit: crop` leaves it as it is.
    """
    resampling = Image.Resampling.NEAREST if nearest else Image.Resampling.BICUBIC
    size = (image.size, image.size)
    if image.fit == "resize":
        return picture.resize(size, resampling)
    if image.fit == "cover":
        return ImageOps.fit(picture, size, resampling)
    return picture


def fit_in_words(image: ImageConfig, sizes: Iterable[Size]) -> str:
    """Return what `image.fit` does to images of these sizes, for a person; empty where no shape is changed."""
    counts = Counter(sizes)
    uneven = {size: number for size, number in counts.items() if size[0] != size[1]}
    if not uneven or image.fit == "crop":
        return ""
    number = f"{sum(uneven.values()):,} of {counts.total():,} images are not square"
    if image.fit == "resize":
        most = max(max(size) / min(size) for size in uneven)
        return f"{number}: `fit: resize` squeezes them, up to {most:.2f} times; `fit: cover` would cut their edges off"
    pixels = sum(width * height * number for (width, height), number in counts.items())
    kept = sum(min(size) ** 2 * number for size, number in counts.items())
    return (
        f"{number}: `fit: cover` cuts {1 - kept / pixels:.1%} of all pixels off at their edges; `fit: resize` would "
        "squeeze them"
    )
