"""Classical methods, without learning, which a model that restores images has to beat.

Where a method has settings, or there are several methods, every candidate restores all images and the best mean score
is what a model is compared with: the settings are chosen on the very images, which favors the classical side.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, median_filter
from scipy.sparse import coo_matrix, diags
from scipy.sparse.linalg import spsolve
from skimage.restoration import denoise_nl_means, inpaint_biharmonic, wiener

from gan_models.config import Deblur, Degradation, Denoise, Inpaint, SuperResolution
from gan_models.images.degradations.blur import REFERENCE_SIDE, blur_kernels, gaussian_kernel
from gan_models.images.degradations.noise import noise_levels

Pixels = NDArray[np.uint8]
Holes = NDArray[np.bool_]
Candidates = dict[str, Pixels]

MEDIANS = (3, 5)  # sides of the windows
NL_MEANS = (0.4, 0.5, 0.6)  # cut-off distances, as shares of the noise's sigma
BALANCES = (0.003, 0.01, 0.03, 0.1, 0.3)  # of Wiener filters: from sharp to smooth


def classical_candidates(degradation: Degradation, degraded: Pixels, holes: Holes, seeds: Sequence[int]) -> Candidates:
    """Return what classical methods make of images that `degrade_seeded` degraded, by the method's name.

    Non-local means is told the sigma of the noise, and the Wiener filter the kernel: more than a blind model knows.
    For super-resolution it is bicubic interpolation, which the degraded images are already.

    Args:
        degradation: what was done to the images.
        degraded: uint8 [N, C, H, W].
        holes: bool [N, 1, H, W], True where a pixel is missing.
        seeds: one per image, those that they were degraded with on the CPU.
    """
    if isinstance(degradation, Denoise):
        sigmas = noise_levels(degradation, seeds)
        told = {f"non-local means, h {cut} sigma": nl_means(degraded, sigmas, cut) for cut in NL_MEANS}
        return told | _medians(degraded)
    if isinstance(degradation, Inpaint):
        return {"diffusion": fill_by_diffusion(degraded, holes), "biharmonic": fill_biharmonically(degraded, holes)}
    if isinstance(degradation, Deblur):
        kernels = blur_kernels(degradation, seeds, min(degraded.shape[-2:])).numpy()
        return {f"Wiener filter told the kernel, balance {b}": wiener_filter(degraded, kernels, b) for b in BALANCES}
    if isinstance(degradation, SuperResolution):
        return {"bicubic interpolation (the degraded input)": degraded}
    return _medians(degraded)


def blind_candidates(degradation: Degradation, degraded: Pixels) -> Candidates:
    """Return the same where the kernel of a blur is not told: it is taken for a round Gaussian of the middle sigma."""
    if not isinstance(degradation, Deblur):
        return {}
    sigma = (degradation.sigma_min + degradation.sigma_max) / 2 * min(degraded.shape[-2:]) / REFERENCE_SIDE
    guesses = {share: gaussian_kernel(share * sigma, share * sigma, 0.0, int(3 * sigma) + 1) for share in (0.5, 0.75)}
    return {
        f"Wiener filter with one kernel for all, {share} sigma, balance {b}": wiener_filter(
            degraded, np.broadcast_to(kernel.numpy(), (len(degraded), *kernel.shape)), b
        )
        for share, kernel in guesses.items()
        for b in BALANCES
    }


def nl_means(images: Pixels, sigmas: Sequence[float], cut_off: float) -> Pixels:
    """Return non-local means (Buades et al. 2005) of uint8 [N, C, H, W], given each one's noise on the 0-255 scale."""
    cleaned = [
        denoise_nl_means(
            image / 255,
            patch_size=5,
            patch_distance=6,
            h=cut_off * sigma / 255,
            sigma=sigma / 255,
            fast_mode=True,
            channel_axis=0,
        )
        for image, sigma in zip(images, sigmas, strict=True)
    ]
    return _to_pixels(np.stack(cleaned).reshape(images.shape))  # it drops the axis of a single channel


def wiener_filter(images: Pixels, kernels: NDArray[np.float32], balance: float) -> Pixels:
    """Return Wiener deconvolution of uint8 [N, C, H, W] by kernels [N, K, K], `balance` being how much it smooths.

    Images are continued by reflection, as they were blurred: the filter itself takes them for periodic.
    """
    height, width = images.shape[-2:]
    edge = ((0, 0), (height // 2, height // 2), (width // 2, width // 2))
    sharpened = np.empty(images.shape)
    for image, kernel, own in zip(images, kernels, sharpened, strict=True):
        continued = np.pad(image / 255, edge, mode="reflect")
        for channel, plane in enumerate(continued):
            whole = wiener(plane, kernel, balance, clip=False)  # type: ignore[no-untyped-call]
            own[channel] = whole[height // 2 : height // 2 + height, width // 2 : width // 2 + width]
    return _to_pixels(sharpened)


def fill_by_diffusion(images: Pixels, holes: Holes) -> Pixels:
    """Fill missing pixels as heat would spread into them from the known ones: each the mean of its four neighbors.

    The steady state of isotropic diffusion, found at once as a sparse system; the smooth part of what Bertalmio et
    al. 2000 and Telea 2004 do. uint8 [N, C, H, W] and bool [N, 1, H, W], True where missing.
    """
    filled = images.copy()
    for image, hole in zip(filled, holes[:, 0], strict=True):
        if hole.any() and not hole.all():
            image[:, hole] = np.rint(_steady_state(image.astype(np.float64), hole)).clip(0, 255).astype(np.uint8)
    return filled


def fill_biharmonically(images: Pixels, holes: Holes) -> Pixels:
    """Fill missing pixels as a plate bends that is held by the known ones (Damelin & Hoang 2018). Shapes as above."""
    filled = [
        inpaint_biharmonic(image / 255, hole, channel_axis=0) if not hole.all() else image / 255
        for image, hole in zip(images, holes[:, 0], strict=True)
    ]
    return _to_pixels(np.stack(filled))


def fill_with_nearest(images: Pixels, holes: Holes) -> Pixels:
    """Fill missing pixels with their nearest known ones. uint8 [N, C, H, W], bool [N, 1, H, W], True where missing."""
    filled = images.copy()
    for image, hole in zip(filled, holes[:, 0], strict=True):
        if hole.all():
            continue  # nothing is known
        rows, columns = distance_transform_edt(hole, return_distances=False, return_indices=True)
        image[:] = image[:, rows, columns]
    return filled


def fill_with_mean_color(images: Pixels, holes: Holes) -> Pixels:
    """Fill missing pixels with the mean of the known. uint8 [N, C, H, W], bool [N, 1, H, W], True where missing."""
    known = ~holes
    counts = known.sum(axis=(2, 3), keepdims=True).clip(min=1)
    mean = (images * known).sum(axis=(2, 3), keepdims=True, dtype=np.float64) / counts
    filled: Pixels = np.where(holes, np.rint(mean).astype(np.uint8), images)
    return filled


def best_by(candidates: Candidates, score: Callable[[Pixels], NDArray[np.float64]]) -> tuple[str, NDArray[np.float64]]:
    """Return the candidate with the highest mean of a score, float64 [N]: its name and its scores."""
    scores = {name: score(pixels) for name, pixels in candidates.items()}
    best = max(scores, key=lambda name: float(scores[name].mean()))
    return best, scores[best]


def _steady_state(image: NDArray[np.float64], hole: Holes) -> NDArray[np.float64]:
    """Return the missing pixels of [C, H, W], as [C, number of them]."""
    height, width = hole.shape
    number = np.full(hole.shape, -1)
    number[hole] = np.arange(hole.sum())
    rows, columns = np.nonzero(hole)
    neighbors, links, known = np.zeros(len(rows)), [], np.zeros((len(image), len(rows)))
    for down, right in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        y, x = rows + down, columns + right
        inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        own, y, x = np.flatnonzero(inside), y[inside], x[inside]
        neighbors[own] += 1
        missing = hole[y, x]
        links.append((own[missing], number[y[missing], x[missing]]))
        known[:, own[~missing]] += image[:, y[~missing], x[~missing]]
    own, other = (np.concatenate(ends) for ends in zip(*links, strict=True))
    system = diags(neighbors) - coo_matrix((np.ones(len(own)), (own, other)), shape=(len(rows), len(rows)))
    solved: NDArray[np.float64] = spsolve(system.tocsc(), known.T).reshape(len(rows), -1).T
    return solved


def _medians(images: Pixels) -> Candidates:
    return {f"median of {side}x{side}": median_filter(images, size=(1, 1, side, side)) for side in MEDIANS}


def _to_pixels(images: NDArray[np.float64]) -> Pixels:
    pixels: Pixels = np.rint(images * 255).clip(0, 255).astype(np.uint8)
    return pixels
