"""Photographs under a camera that moves, so that the motion is known."""

import numpy as np
import pytest
from skimage.data import astronaut, coffee

from gan_models.evaluation.errors import InsufficientDataError
from gan_models.evaluation.metrics.warping_error import warping_error

SIDE = 64


def panning(photo, steps=((0, 0), (1, 2), (2, 5)), top=140, left=150):
    """Windows of a photograph, uint8 [T, 3, SIDE, SIDE], each moved by so many rows and columns."""
    frames = [photo[top + y : top + y + SIDE, left + x : left + x + SIDE] for y, x in steps]
    return np.stack(frames).transpose(0, 3, 1, 2)


@pytest.mark.parametrize("photo", [astronaut, coffee])
def test_a_video_that_moves_as_its_input_does_is_steady(photo) -> None:
    video = panning(photo())
    still = np.square(np.diff(video / 255.0, axis=0)).mean()  # what is left if nothing is warped
    errors = warping_error(video, video)
    assert errors.shape == (2,)
    assert errors.max() < 0.1 * still


def test_recolouring_every_frame_alike_is_steady_and_flicker_is_counted() -> None:
    video = panning(astronaut())
    darker = video // 2
    flickering = darker.copy()
    flickering[1] += 51  # a fifth of the range
    assert warping_error(video, darker).max() < warping_error(video, video).max()
    assert warping_error(video, flickering) == pytest.approx([0.04, 0.04], rel=0.25)


def test_what_the_next_frame_does_not_show_does_not_count() -> None:
    video = panning(coffee(), steps=((0, 0), (0, 3)))
    outputs = video.copy()
    outputs[0, :, :, :2] = 255 - outputs[0, :, :, :2]  # the two columns that leave the frame
    assert warping_error(video, outputs) == pytest.approx(warping_error(video, video), rel=0.2)


def test_a_constant_video_has_no_error() -> None:
    gray = np.full((2, 1, 32, 32), 90, np.uint8)
    assert warping_error(gray, gray).tolist() == [0]


def test_one_frame_is_insufficient_and_other_shapes_are_refused() -> None:
    video = panning(coffee())
    with pytest.raises(InsufficientDataError, match="1 frames"):
        warping_error(video[:1], video[:1])
    with pytest.raises(ValueError, match="one shape"):
        warping_error(video, video[:2])
