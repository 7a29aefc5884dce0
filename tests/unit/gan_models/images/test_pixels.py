import torch

from gan_models.images.pixels import make_grid, quantize, to_float, to_uint8


def test_every_uint8_value_survives_the_way_to_float_and_back() -> None:
    values = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    assert torch.equal(to_uint8(to_float(values)), values)


def test_what_is_quantized_is_what_a_file_of_8_bits_brings_back() -> None:
    images = torch.linspace(-1.2, 1.2, 1001).view(1, 1, 7, 143)
    torch.testing.assert_close(quantize(images), to_float(to_uint8(images)), rtol=0, atol=1e-6)


def test_the_images_of_a_grid_lie_row_by_row() -> None:
    picture = make_grid(torch.tensor([-1.0, 1.0, 1.0, -1.0]).view(4, 1, 1, 1).expand(4, 1, 2, 2), columns=2)
    assert picture[0, ::2, ::2].tolist() == [[0, 255], [255, 0]]
