import pytest
import torch

from gan_models.evaluation.metrics.ms_ssim import MIN_SIDE, WEIGHTS, ms_ssim
from tests.support.golden import IMAGES, absolute, photographs


def by_torchmetrics(images, originals):
    """Its parts put together over the valid region: its own last scale takes in a reflected border."""
    from torchmetrics.functional.image import structural_similarity_index_measure as ssim_of

    x, y = images.double(), originals.double()
    product = torch.ones(len(x), dtype=torch.float64)
    for scale, weight in enumerate(WEIGHTS):
        part = ssim_of(x, y, data_range=255.0, reduction="none", return_contrast_sensitivity=True)[1]
        if scale == len(WEIGHTS) - 1:
            whole = ssim_of(x, y, data_range=255.0, reduction="none", return_full_image=True)[1]
            part = whole[..., 5:-5, 5:-5].flatten(1).mean(1)
        product *= part.clamp(min=0) ** weight
        x, y = (torch.nn.functional.avg_pool2d(z, 2) for z in (x, y))
    return product


@pytest.mark.parametrize("kind", IMAGES)
@pytest.mark.parametrize("size", [MIN_SIDE, 189])
def test_it_is_what_torchmetrics_says_of_the_valid_region(kind, size, record_property) -> None:
    images, originals = IMAGES[kind](size, 1)
    difference = absolute(ms_ssim(images, originals), by_torchmetrics(images, originals))
    record_property("largest difference", difference)
    assert difference < 1e-5


def test_torchmetrics_own_number_is_near_but_for_its_border(record_property) -> None:
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

    images, originals = photographs(MIN_SIDE, 1)
    theirs = multiscale_structural_similarity_index_measure(
        images.double(), originals.double(), data_range=255.0, normalize="relu", reduction="none"
    )
    difference = absolute(ms_ssim(images, originals), theirs)
    record_property("largest difference, border and all", difference)
    assert difference < 0.01


def test_equal_images_score_one_and_gray_ones_are_taken() -> None:
    _, originals = photographs(MIN_SIDE, 2)
    assert ms_ssim(originals[:, :1], originals[:, :1]).tolist() == pytest.approx([1, 1])
    constant = torch.full((1, 3, MIN_SIDE, MIN_SIDE), 9, dtype=torch.uint8)
    assert ms_ssim(constant, constant).tolist() == pytest.approx([1])


def test_it_does_not_depend_on_the_batch() -> None:
    images, originals = photographs(MIN_SIDE, 3)
    assert absolute(ms_ssim(images, originals, batch_size=2), ms_ssim(images, originals)) < 1e-12


def test_an_inverted_image_scores_zero_and_not_nan() -> None:
    _, originals = photographs(MIN_SIDE, 1)
    assert ms_ssim(255 - originals, originals).tolist() == [0]


def test_images_too_small_for_five_scales_are_refused() -> None:
    small = torch.zeros(1, 3, MIN_SIDE - 1, MIN_SIDE, dtype=torch.uint8)
    with pytest.raises(ValueError, match="176x176 or more"):
        ms_ssim(small, small)
