"""Kinds of numbers in configs, with upper bounds: what sizes memory or time has one.

They lie far above any use. A number beyond is a typing error, better refused when the config is read than by a machine
that runs out of memory.
"""

from typing import Annotated

from pydantic import Field

MAX_STEPS = 1_000_000_000
MAX_WIDTH = 8_192  # the widest published networks of these kinds have about 1,000 channels

Steps = Annotated[int, Field(ge=1, le=MAX_STEPS)]
Width = Annotated[int, Field(ge=4, le=MAX_WIDTH)]
Blocks = Annotated[int, Field(ge=1, le=256)]
LearningRate = Annotated[float, Field(gt=0)]
_Beta = Annotated[float, Field(ge=0, lt=1)]
Betas = tuple[_Beta, _Beta]  # Adam's
