import pytest
import torch

from gan_models.losses.perceptual import content_loss, perceptual_loss
from gan_models.losses.total_variation import total_variation
from gan_models.networks.efficientnet_lite0 import MissingWeightsError
from gan_models.networks.feature_network import VGG19_WEIGHTS, load_feature_network, untrained_feature_network


@pytest.fixture(scope="module")
def network():
    return load_feature_network("efficientnet_lite0")


@pytest.fixture(scope="module")
def photographs():
    from skimage.data import astronaut, coffee

    tiles = [torch.from_numpy(photo[96:160, 96:160].copy()) for photo in (astronaut(), coffee())]
    return torch.stack(tiles).permute(0, 3, 1, 2) / 127.5 - 1


def test_a_feature_network_gives_four_stages_of_the_shapes_it_says(network, photographs):
    features = network(photographs)
    assert [list(feature.shape[1:]) for feature in features] == [
        [channels, 64 // stride, 64 // stride]
        for channels, stride in zip(network.channels, network.strides, strict=True)
    ]
    assert len(network(photographs, num_stages=2)) == 2


def test_it_never_learns_and_passes_gradients_on(network, photographs):
    images = photographs.clone().requires_grad_(True)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    network.train()
    sum(feature.square().mean() for feature in network(images)).backward()
    assert images.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in network.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_its_weights_fill_an_untrained_one(network, photographs):
    other = untrained_feature_network("efficientnet_lite0")
    other.load_state_dict(network.state_dict())
    for one, two in zip(network(photographs), other(photographs), strict=True):
        torch.testing.assert_close(one, two)


def test_the_perceptual_loss_is_zero_for_the_same_image_and_grows_with_noise(network, photographs):
    targets = network(photographs)
    noise = torch.randn(photographs.shape, generator=torch.Generator().manual_seed(0))
    values = [perceptual_loss(network(photographs + sigma * noise), targets).item() for sigma in (0.0, 0.05, 0.2)]
    assert values[0] == 0 < values[1] < values[2]


def test_stages_count_alike_whatever_the_scale_of_their_features(network, photographs):
    features, targets = network(photographs.flip(3)), network(photographs)
    scaled = perceptual_loss([f * 10**i for i, f in enumerate(features)], [t * 10**i for i, t in enumerate(targets)])
    torch.testing.assert_close(scaled, perceptual_loss(features, targets))


def test_content_is_the_same_in_other_colors_and_not_in_another_place(network, photographs):
    features = network(photographs)[1]
    gains = torch.linspace(0.5, 2, features.shape[1]).view(1, -1, 1, 1)
    assert content_loss(features * gains + 3, features).max() < 1e-3
    assert content_loss(network(photographs.flip(3))[1], features).min() > 0.1


def test_total_variation_counts_edges():
    half = torch.cat([torch.zeros(1, 1, 4, 2), torch.ones(1, 1, 4, 2)], dim=3)
    assert total_variation(half).item() == pytest.approx(1 / 3)  # one in three horizontal differences is 1
    assert total_variation(torch.ones(2, 3, 4, 4)).tolist() == [0, 0]


def test_vgg19_is_taken_from_torchvisions_file(tmp_path, monkeypatch):
    from torchvision.models import vgg19

    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in vgg19(weights=None).state_dict().items()}
    random = torch.Generator().manual_seed(0)
    weights = {
        name: 0.05 * torch.randn(shape, generator=random)
        for name, shape in shapes.items()
        if name.startswith("features.")
    }
    file = tmp_path / "hub" / "checkpoints" / VGG19_WEIGHTS
    file.parent.mkdir(parents=True)
    torch.save(weights, file)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    network = load_feature_network("vgg19")
    images = torch.rand(1, 3, 16, 16, generator=random) * 2 - 1
    features = network(images)
    assert [list(feature.shape[1:]) for feature in features] == [[64, 16, 16], [128, 8, 8], [256, 4, 4], [512, 2, 2]]
    # The first stage, relu1_1, by hand: a convolution of the normalized image with its edge continued.
    normalized = torch.nn.functional.pad(
        ((images + 1) / 2 - network.mean) / network.std, (1, 1, 1, 1), mode="replicate"
    )
    by_hand = torch.nn.functional.conv2d(normalized, weights["features.0.weight"], weights["features.0.bias"]).relu()
    torch.testing.assert_close(features[0], by_hand)


def test_vgg19_is_refused_where_its_file_is_missing_or_of_something_else(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(MissingWeightsError, match=rf"{VGG19_WEIGHTS} is missing"):
        load_feature_network("vgg19")
    wrong = tmp_path / "wrong.pth"
    torch.save({"features.0.weight": torch.zeros(1)}, wrong)
    with pytest.raises(MissingWeightsError, match="cannot be used as the weights of VGG19"):
        load_feature_network("vgg19", wrong)
