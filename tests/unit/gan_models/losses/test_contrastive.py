"""PatchNCE is low where each patch is recognized among the others of its image."""

import math

import pytest
import torch
from torch.nn.functional import normalize

from gan_models.losses.contrastive import patch_nce


def test_patches_that_are_their_own_keys_cost_almost_nothing_and_confused_ones_much() -> None:
    keys = torch.eye(4).expand(2, 4, 4)
    assert patch_nce(keys, keys, 0.07).max() < 1e-4
    assert patch_nce(keys.roll(1, dims=1), keys, 0.07).min() > 10


def test_patches_that_look_alike_cost_the_logarithm_of_their_number() -> None:
    same = normalize(torch.ones(3, 16, 8), dim=2)
    assert patch_nce(same, same, 0.07).tolist() == pytest.approx([math.log(16)] * 3, rel=1e-5)


def test_the_value_is_the_formula_of_the_paper_and_keys_get_no_gradient() -> None:
    random = torch.Generator().manual_seed(0)
    queries, keys = (normalize(torch.randn(1, 5, 8, generator=random), dim=2).requires_grad_() for _ in range(2))
    loss = patch_nce(queries, keys, 0.1)
    similarities = (queries @ keys.transpose(1, 2))[0] / 0.1
    expected = -(similarities.diag().exp() / similarities.exp().sum(dim=1)).log().mean()
    torch.testing.assert_close(loss[0], expected)
    loss.sum().backward()
    assert queries.grad is not None
    assert keys.grad is None
