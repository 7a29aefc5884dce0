import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from gan_models.evaluation.metrics.ssim import ssim
from tests.support.golden import IMAGES, absolute, noisy_pair


@pytest.mark.parametrize("kind", IMAGES)
@pytest.mark.parametrize("channels", [1, 3])
def test_it_is_what_scikit_image_and_torchmetrics_say(kind, channels, record_property):
    from torchmetrics.functional.image import structural_similarity_index_measure

    noisy, originals = (images.numpy()[:, :channels] for images in IMAGES[kind](64))
    ours = ssim(torch.from_numpy(noisy), torch.from_numpy(originals))
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    theirs = [structural_similarity(o, n, channel_axis=0, **settings) for o, n in zip(originals, noisy, strict=True)]
    tensors = torch.from_numpy(noisy).double(), torch.from_numpy(originals).double()
    _, everywhere = structural_similarity_index_measure(*tensors, data_range=255.0, return_full_image=True)
    valid = everywhere[..., 5:-5, 5:-5]  # torchmetrics' own mean takes in a reflected border
    difference = max(absolute(ours, theirs), absolute(ours, valid.flatten(1).mean(1)))
    record_property("largest difference", difference)
    assert difference < 1e-5


def test_identical_images_score_one_constant_ones_too():
    gray = torch.full((2, 1, 16, 16), 128, dtype=torch.uint8)
    np.testing.assert_allclose(ssim(gray, gray), 1.0)


def test_it_does_not_depend_on_the_batch_size():
    noisy, originals = (torch.from_numpy(images) for images in noisy_pair(num=7))
    np.testing.assert_allclose(ssim(noisy, originals, batch_size=2), ssim(noisy, originals), rtol=1e-12)


def test_images_smaller_than_the_window_are_refused():
    small = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
    with pytest.raises(ValueError, match="11x11 or more"):
        ssim(small, small)
