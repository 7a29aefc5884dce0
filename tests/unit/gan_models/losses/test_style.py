import torch

from gan_models.losses.style import statistics_of, style_loss
from tests.support.checked import present


def features(seed, size=8):
    return torch.randn(3, 5, size, size, generator=torch.Generator().manual_seed(seed)) + 1


def shuffled(images):
    order = torch.randperm(images.shape[2] * images.shape[3], generator=torch.Generator().manual_seed(1))
    return images.flatten(2)[:, :, order].reshape(images.shape)


def test_style_is_blind_to_where_things_are():
    one = features(0)
    assert style_loss([statistics_of(shuffled(one))], [statistics_of(one)]).max() < 1e-10


def test_style_loss_is_huang_and_belongies_over_the_targets_energy():
    one, other = features(0), features(1)
    mean, deviation = one.mean(dim=(2, 3)), one.flatten(2).std(dim=2, correction=0)
    target_mean, target_deviation = other.mean(dim=(2, 3)), other.flatten(2).std(dim=2, correction=0)
    error = (mean - target_mean).square().sum(1) + (deviation - target_deviation).square().sum(1)
    expected = error / (target_mean.square() + target_deviation.square()).sum(1)
    torch.testing.assert_close(style_loss([statistics_of(one)], [statistics_of(other)]), expected, atol=1e-5, rtol=1e-4)


def test_stages_count_alike_whatever_the_scale_of_their_features():
    one, other = [features(0), features(1)], [features(2), features(3)]
    large_one, large_other = [one[0], 100 * one[1]], [other[0], 100 * other[1]]
    plain = style_loss([statistics_of(f) for f in one], [statistics_of(f) for f in other])
    large = style_loss([statistics_of(f) for f in large_one], [statistics_of(f) for f in large_other])
    torch.testing.assert_close(large, plain, rtol=1e-3, atol=1e-5)


def test_no_gradient_flows_to_the_targets_and_flat_images_have_a_finite_one():
    flat, other = torch.zeros(1, 2, 4, 4, requires_grad=True), features(0)[:1, :2].requires_grad_(True)
    style_loss([statistics_of(flat)], [statistics_of(other)]).sum().backward()
    assert present(flat.grad).isfinite().all()
    assert other.grad is None
