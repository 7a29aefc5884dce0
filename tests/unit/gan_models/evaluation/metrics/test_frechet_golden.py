"""The Fréchet distance against three computations of others, given equal features."""

import numpy as np
import pytest
import scipy.linalg
import torch

from gan_models.evaluation.metrics.frechet_distance import RealFeatures, frechet_distance
from tests.support.golden import FEATURES, frechet_by_torchmetrics, relative


def moments(features):
    return features.mean(axis=0), np.cov(features, rowvar=False)


def by_the_algebra_of_pytorch_fid(own, real):
    (m1, s1), (m2, s2) = moments(own), moments(real)
    root = scipy.linalg.sqrtm(s1 @ s2)
    return (m1 - m2) @ (m1 - m2) + np.trace(s1) + np.trace(s2) - 2 * np.trace(root.real)


def by_torch_fidelity(own, real):
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    statistics = [fid_features_to_statistics(torch.from_numpy(side)) for side in (own, real)]
    return fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]


@pytest.mark.parametrize("kind", FEATURES)
@pytest.mark.parametrize("other", [by_the_algebra_of_pytorch_fid, frechet_by_torchmetrics, by_torch_fidelity])
def test_it_is_what_others_say(kind, other, record_property) -> None:
    own, real = FEATURES[kind](600, 700)
    varied = real.std(axis=0) > 0.1  # the corners of digits are always white, and a root of zero loses digits
    own, real = own[:, varied], real[:, varied]
    difference = relative(frechet_distance(own, RealFeatures(real)).value, other(own, real))
    record_property("largest relative difference", difference)
    assert difference < 1e-6
