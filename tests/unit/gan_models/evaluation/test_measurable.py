"""What rules are checked against is what the evaluators measure: neither more nor less, for every task."""

import pytest
import torch

from gan_models.bundles.bundle import load_bundle, save_bundle
from gan_models.config import EvaluateConfig
from gan_models.evaluation.measurable import measurable
from gan_models.evaluation.metrics.catalog import METRICS, MS_SSIM_SIDE, SSIM_SIDE
from gan_models.evaluation.metrics.ms_ssim import MIN_SIDE
from gan_models.evaluation.metrics.ssim import WINDOW
from gan_models.evaluation.run import evaluate
from gan_models.recipes import build_recipe
from tests.support.training_runs import (
    CUT,
    CYCLEGAN,
    DCGAN,
    PAIRS,
    PIX2PIX,
    RESTORE,
    STYLE_BANK,
    VAE,
    train_config,
    write_data,
)

DEGRADATIONS = [{"kind": "denoise"}, {"kind": "inpaint"}, {"kind": "deblur", "name": "blur_2"}, {"kind": "watermark"}]
CASES = {
    "dcgan": (DCGAN, ("dark", "light")),
    "dcgan without labels": ({**DCGAN, "conditional": False}, ("dark", "light")),
    "vae": (VAE, ("dark", "light")),
    "restore": ({**RESTORE, "degradations": DEGRADATIONS}, ()),
    "cyclegan": (CYCLEGAN, ()),
    "cut": (CUT, ()),
    "pix2pix": (PIX2PIX, ()),
    "pix2pix with pairs": (PAIRS, ()),
    "style_bank": (STYLE_BANK, ("cafe", "iris")),
}
EVALUATE = EvaluateConfig.model_validate({"num_images": 16, "extractor": {"size": 32}})


@pytest.mark.parametrize("name", CASES)
def test_every_metric_that_is_measured_or_left_out_is_known_before_and_no_other(tmp_path, name):
    recipe, labels = CASES[name]
    config = train_config(recipe)
    write_data(recipe, tmp_path / "data", num=80)
    save_bundle(
        tmp_path / "bundle",
        _with_noise(build_recipe(config, len(labels)).generator),
        recipe=config.recipe,
        image=config.image,
        label_names=labels,
        num_steps=1,
        config_digest="c",
        data_digest="d",
    )
    bundle = load_bundle(tmp_path / "bundle")
    result = evaluate(bundle, tmp_path / "data", EVALUATE, cache=None, progress=lambda what: None).result
    known = measurable(config, EVALUATE)
    measured = {metric.key: metric for metric in result.metrics}
    left_out = {metric.key for metric in result.left_out}
    assert {key: known.why_not(key) for key in measured if known.why_not(key)} == {}
    assert set(known.keys) - set(measured) - left_out == set()
    for metric in result.metrics:
        assert known.name_of(metric.key) == metric.name
    for part in known.parts:
        if part.kind:
            assert {m.name for m in result.metrics if m.slice and m.slice.kind == part.kind} == set(part.names)


def test_the_smallest_sides_are_those_that_the_metrics_take():
    assert (SSIM_SIDE, MS_SSIM_SIDE) == (WINDOW, MIN_SIDE)
    assert METRICS["ms_ssim_y"].min_side == MIN_SIDE


def _with_noise(network):
    """Return a network whose images differ from its inputs, as those of an untrained one may not."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weights in network.parameters():
            weights.add_(0.05 * torch.randn(weights.shape, generator=generator))
    return network
