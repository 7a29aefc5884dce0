"""How much a video flickers: frames that are warped onto the next ones should be those (Lai et al. 2018)."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from gan_models.evaluation.errors import InsufficientDataError
from gan_models.evaluation.stats.intervals import Array
from gan_models.images.pixels import require_uint8


def warping_error(inputs: NDArray[np.uint8], outputs: NDArray[np.uint8]) -> Array:
    """Return the mean squared difference of each output frame and the next warped onto it, where both show the scene.

    https://arxiv.org/abs/1808.00449, section 4.1. The motion is that of the input frames (TV-L1, Zach et al. 2007), so
    that flicker of the output is not taken for motion. A pixel does not count where the next frame does not show it:
    outside of the frame, or where the motion there and back does not lead home (Sundaram et al. 2010, eq. 5).

    Args:
        inputs: uint8 [T, C, H, W], consecutive frames before the model.
        outputs: uint8 [T, C, H, W], what it made of them.

    Returns:
        float64 [T - 1], of pixels in [0, 1]: 0 for a steady video.

    Raises:
        ValueError: the frames are not uint8, the shapes differ, or two frames have nothing in common.
        InsufficientDataError: fewer than two frames.
    """
    require_uint8(inputs, outputs)
    if inputs.shape != outputs.shape:
        raise ValueError(f"inputs {inputs.shape} and outputs {outputs.shape} should be of one shape")
    if len(inputs) < 2:
        raise InsufficientDataError("frames", len(inputs), 2)
    gray = inputs.mean(axis=1) / 255.0
    errors = []
    for i in range(len(inputs) - 1):
        forwards, backwards = _motion(gray[i], gray[i + 1]), _motion(gray[i + 1], gray[i])
        seen = _seen_in_both(forwards, backwards)
        if not seen.any():
            raise ValueError(f"frames {i} and {i + 1} show nothing in common; is there a cut between them?")
        warped = _warp(outputs[i + 1] / 255.0, forwards)
        errors.append(np.square(outputs[i] / 255.0 - warped).mean(axis=0)[seen].mean())
    return np.array(errors)


def _motion(frame: Array, following: Array) -> Array:
    """Return where each pixel of a frame, float64 [H, W], goes in the next: rows and columns, float64 [2, H, W]."""
    from skimage.registration import optical_flow_tvl1

    motion: Array = optical_flow_tvl1(frame, following, dtype=np.float64)  # type: ignore[no-untyped-call]
    return motion


def _warp(image: Array, motion: Array) -> Array:
    """Return float64 [C, H, W], each pixel taken from where the motion leads, by linear interpolation."""
    places = np.indices(image.shape[1:]) + motion
    warped: Array = np.stack([map_coordinates(channel, places, order=1, mode="nearest") for channel in image])
    return warped


def _seen_in_both(forwards: Array, backwards: Array) -> NDArray[np.bool_]:
    height, width = forwards.shape[1:]
    rows, columns = np.indices((height, width)) + forwards
    inside = (rows >= 0) & (rows <= height - 1) & (columns >= 0) & (columns <= width - 1)
    back = _warp(backwards, forwards)
    astray = np.square(forwards + back).sum(axis=0)
    lengths = np.square(forwards).sum(axis=0) + np.square(back).sum(axis=0)
    seen: NDArray[np.bool_] = inside & (astray <= 0.01 * lengths + 0.5)
    return seen
