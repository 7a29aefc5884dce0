import numpy as np
import pytest
import torch

from gan_models.bundles.bundle import load_bundle
from gan_models.config import DcganConfig, EvaluateConfig, ExtractorConfig, ImageConfig
from gan_models.evaluation.comparison import compare
from gan_models.evaluation.features.extractor import load_extractor
from gan_models.evaluation.run import evaluate
from gan_models.evaluation.tasks import sampling
from gan_models.evaluation.tasks.sampling import sample_images
from tests.support.bundles import make_bundle
from tests.support.checked import present
from tests.support.image_rows import write_digits

GRAY = ImageConfig(size=16, channels=1)

ASKED = np.repeat(np.arange(10), 5)


def config(**more):
    return EvaluateConfig(num_images=50, batch_size=8, extractor=ExtractorConfig(size=32), **more)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_digits(tmp_path_factory.mktemp("data") / "digits")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    directory = tmp_path_factory.mktemp("bundle") / "b"
    return load_bundle(make_bundle(directory, DcganConfig(width=4), GRAY, tuple("0123456789"), 0), "cpu")


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(sampling, "MAX_KEPT", 20)
    monkeypatch.setattr(sampling, "PART", 16)


@pytest.mark.usefixtures("small_parts")
def test_many_images_are_summed_and_some_of_all_of_them_are_kept(bundle):
    extractor = load_extractor(ExtractorConfig(size=32))
    everything, some = (sample_images(bundle, ASKED, config(intervals=kept), extractor) for kept in (True, False))
    assert (everything.sums, len(everything.images)) == (None, 50)
    places = np.linspace(0, 49, 20).astype(int)
    assert torch.equal(some.images, everything.images[places])
    np.testing.assert_array_equal(some.asked, ASKED[places])
    np.testing.assert_allclose(some.features, everything.features[places], atol=1e-6)
    sums = present(some.sums)
    assert sums.num == 50
    np.testing.assert_allclose(sums.mean, everything.features.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(sums.covariance(), np.cov(everything.features, rowvar=False), atol=1e-6)


@pytest.mark.usefixtures("small_parts")
def test_without_intervals_there_are_the_same_distances_and_no_verdicts(bundle, data, tmp_path):
    rounded = []  # as a GPU does by default, so that a number would tell where it was measured
    progress = lambda what: rounded.append(torch.backends.cudnn.allow_tf32)  # noqa: E731
    with_them, without = (
        evaluate(bundle, data, config(intervals=kept), cache=tmp_path, progress=progress) for kept in (True, False)
    )
    assert set(rounded) == {False}
    name = "fd_efficientnet_lite0"
    own, other = with_them.result.by_key()[name], without.result.by_key()[name]
    assert other.value == pytest.approx(own.value, rel=1e-6)
    assert other.num_images == own.num_images == 50
    assert other.low == other.value == other.high
    assert without.result.by_key()["diversity"].num_images == 20
    assert {d.verdict for d in compare(without.result, without.influence, without.result, without.influence)} == {"tie"}
