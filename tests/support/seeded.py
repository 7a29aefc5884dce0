"""What tests draw from PyTorch's global generator does not depend on the tests before them."""

import pytest
import torch


@pytest.fixture(autouse=True)
def seeded(seed: int) -> None:
    torch.manual_seed(seed)
