"""What a served model answers, for each task, and how it refuses what it cannot answer."""

import base64
import contextlib
import io
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from flows.tracking import served_model as module
from flows.tracking.served_model import Request
from gan_models.bundles.bundle import save_bundle
from gan_models.config import TrainConfig
from gan_models.recipes import build_recipe
from tests.support.served_models import NO_CONTEXT, ask, picture, served_model

RECIPES = {
    "generate": {"name": "r3gan", "width": 8, "latent_dim": 8},
    "restore": {"name": "restore", "width": 8, "blocks": [1, 1]},
    "translate": {"name": "cyclegan", "width": 4, "blocks": 1, "discriminator_width": 4},
    "stylize": {"name": "style_bank", "width": 8, "discriminator_width": 8},
}
LABELS = {"generate": ("no", "yes"), "stylize": ("harvest", "night_cafe")}


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """Loads an untrained model of a task as MLflow would, once each."""
    loaded = {}

    def load(task):
        if task not in loaded:
            section = {"image": {"size": 32, "channels": 3}, "recipe": RECIPES[task], "steps": 1, "device": "cpu"}
            config = TrainConfig.model_validate(section)
            folder = tmp_path_factory.mktemp(task) / "bundle"
            labels = LABELS.get(task, ())
            save_bundle(
                folder,
                shaken(build_recipe(config, len(labels)).generator),
                recipe=config.recipe,
                image=config.image,
                label_names=labels,
                num_steps=1,
                config_digest="c",
                data_digest="d",
            )
            loaded[task] = served_model(folder)
        return loaded[task]

    return load


def shaken(network):
    """The network with noise on its weights: some begin at 0, so that untrained ones would all answer alike."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weights in network.parameters():
            weights.add_(0.05 * torch.randn(weights.shape, generator=generator))
    return network


def refusal(model, **request):
    with pytest.raises(ValueError) as refused:  # noqa: PT011  # the message is what is tested
        ask(model, **request)
    return str(refused.value)


def test_a_generator_draws_a_label_by_its_seed(served):
    model = served("generate")
    first = ask(model, label="yes", seed=1)
    assert first.size == (32, 32)
    assert first.tobytes() == ask(model, label="yes", seed=1).tobytes() != ask(model, label="yes", seed=2).tobytes()
    assert first.tobytes() != ask(model, label="yes", seed=1, truncation=0.3).tobytes()
    assert "'label' has to be one of no, yes; it is 'maybe'" in refusal(model, label="maybe")


def test_a_restorer_edits_pictures_of_any_size_and_enlarges_them(served):
    model = served("restore")
    assert ask(model, image=picture()).size == (24, 16)
    assert ask(model, image=picture(), scale=2).size == (48, 32)
    assert "'mask' has size" in refusal(model, image=picture(), mask=picture(0, 8, 8))


def test_a_translator_translates_in_both_directions(served):
    model = served("translate")
    there, back = ask(model, image=picture()), ask(model, image=picture(), reverse=True)
    assert there.size == back.size == (24, 16)
    assert there.tobytes() != back.tobytes()
    assert "'image' is missing" in refusal(model)


def test_a_style_model_takes_a_known_style_or_a_picture_and_a_strength(served):
    model = served("stylize")
    image = picture(1, 32, 32)
    whole = ask(model, image=image, style="night_cafe")
    assert whole.size == (32, 32)
    assert whole.tobytes() != ask(model, image=image, style="night_cafe", alpha=0.2).tobytes()
    assert ask(model, image=image, style_image=picture(2, 40, 40)).size == (32, 32)
    assert "'style' has to be one of harvest, night_cafe; it is 'sunflowers'" in refusal(
        model, image=image, style="sunflowers"
    )
    assert "give one of 'style' (harvest, night_cafe) and 'style_image'" in refusal(model, image=image)
    assert "give one of" in refusal(model, image=image, style="harvest", style_image=picture(2))


@pytest.mark.parametrize(
    ("task", "request_", "says"),
    [
        ("generate", {"image": "x"}, "this r3gan model does not take 'image'; it takes 'label', 'seed', 'truncation'"),
        ("restore", {"label": "7", "seed": 3}, "this restore model does not take 'label', 'seed'; it takes 'image'"),
        ("translate", {"style": "x"}, "this cyclegan model does not take 'style'; it takes 'image', 'reverse'"),
        ("stylize", {"reverse": True}, "this style_bank model does not take 'reverse'"),
    ],
)
def test_what_a_model_does_not_take_is_named_with_what_it_takes(served, task, request_, says):
    assert says in refusal(served(task), **request_)


def test_a_picture_that_is_none_is_refused(served):
    assert "not a base64 PNG that can be read" in refusal(served("restore"), image="hello")


def test_a_small_request_does_not_make_a_large_picture(served):
    assert "at most 4,000,000" in refusal(served("restore"), image=picture(width=400, height=200), scale=8)


def test_a_picture_whose_header_asks_for_much_memory_is_refused_before_it_is_decoded(served):
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    for side in (3_000, 30_000, 300_000):
        header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
        bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
        assert "pixels" in refusal(served("restore"), image=base64.b64encode(bomb).decode())


def test_a_call_has_a_bounded_number_of_requests_and_time(served, monkeypatch):
    model = served("restore")
    with pytest.raises(ValueError, match="at most 64 requests"):
        model.predict(NO_CONTEXT, [Request(image=picture())] * 65)
    monkeypatch.setattr(module, "MAX_SECONDS", -1.0)
    with pytest.raises(ValueError, match="0 of 2 requests"):
        model.predict(NO_CONTEXT, [Request(image=picture())] * 2)


def test_no_damaged_picture_is_more_than_a_request_that_is_refused(served):
    model, chance = served("restore"), np.random.default_rng(0)
    stream = io.BytesIO()
    Image.fromarray(chance.integers(0, 256, (12, 12, 3), np.uint8)).save(stream, "PNG", pnginfo=None)
    for _ in range(2_000):
        damaged = bytearray(stream.getvalue())
        for position in chance.integers(0, len(damaged), chance.integers(1, 6)):
            damaged[position] = chance.integers(0, 256)
        with contextlib.suppress(ValueError):
            ask(model, image=base64.b64encode(damaged[: chance.integers(1, len(damaged) + 1)]).decode())
