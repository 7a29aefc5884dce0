"""The section `speed` of a training run: switches that change how fast it goes, and little or nothing of the result."""

from typing import Literal

from pydantic import Field

from gan_models.config.section import Section


class SpeedConfig(Section):
    """Levers of the engine; docs/training-speed.md has what they contribute."""

    data: Literal["auto", "device", "memory", "mapped"] = Field(
        "auto",
        description="where decoded images live: on the device, in memory, or in a memory-mapped file of the cache; "
        "auto takes the first that they fit in. Batches are the same, bit for bit, in all of them",
    )
    memory_limit: float = Field(4.0, gt=0, le=1e6, description="GiB of decoded images from which auto maps a file")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="of forward passes, penalties excepted; auto: bfloat16 on a GPU, float32 on a CPU"
    )
    tf32: bool = Field(True, description="TensorFloat-32 for what is in float32 on a GPU")
    channels_last: bool | Literal["auto"] = Field(
        "auto",
        description="memory format of images and convolutions; auto leaves it out on a CPU where instance norm, which "
        "works channel by channel, would turn every image round twice",
    )
    fused_optimizer: bool = Field(True, description="one kernel for all parameters of a network")
    compile: bool = Field(
        False,
        description="torch.compile for the generator; discriminators are differentiated twice and stay as they are",
    )
