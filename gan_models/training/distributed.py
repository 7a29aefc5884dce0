"""Several processes that train one model: each takes its share of every batch, and all decide alike.

`torchrun --nproc-per-node 2 -m gan_models.training ...` starts them. Gradients are averaged by `Recipe.update`; here
is the rest: what one process finds out, all learn, so that they stop, roll back and fail at the same step.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar, cast

import torch
from torch import Tensor, distributed

from gan_models.config import ConfigError
from gan_models.images.randomness import Share

Result = TypeVar("Result")

PATIENCE = timedelta(hours=2)  # Others wait while the first process decodes images or writes a checkpoint.


@dataclass(frozen=True)
class Processes:
    """The processes of a run, as seen from one of them: the `rank`-th of `count`."""

    rank: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        """Return whether this is the process that writes files."""
        return self.rank == 0

    def share(self, batch_size: int) -> Share:
        """Return this process's part of every batch.

        Raises:
            ConfigError: batches cannot be shared equally.
        """
        if batch_size % self.count:
            raise ConfigError(
                f"train.batch_size is {batch_size}, which {self.count} processes cannot share equally; "
                f"make it a multiple of {self.count}"
            )
        return Share(self.rank, self.count)

    def any(self, flag: bool) -> bool:
        """Return whether `flag` holds in any process, asked over the CPU, so that no GPU need be waited for."""
        if self.count == 1:
            return flag
        total = torch.tensor(int(flag))
        distributed.all_reduce(total)
        return bool(total)

    def mean(self, values: Tensor) -> Tensor:
        """Return the mean of a tensor over all processes, on the CPU; not finite where it is so in any of them."""
        values = values.cpu()
        if self.count > 1:
            distributed.all_reduce(values)
        return values / self.count

    def on_first(self, function: Callable[[], Result]) -> Result:
        """Return in every process what `function` returns in the first one, or raise what it raises there."""
        if self.count == 1:
            return function()
        answer: list[Result | Exception | None] = [None]
        if self.is_first:
            try:
                answer = [function()]
            except Exception as error:
                answer = [error]
        distributed.broadcast_object_list(answer, src=0, device=torch.device("cpu"))
        if isinstance(answer[0], Exception):
            raise answer[0]
        return cast(Result, answer[0])

    def gather(self, value: Result) -> list[Result]:
        """Return what every process has, by rank, to all of them."""
        gathered: list[Result] = [value] * self.count
        if self.count > 1:
            distributed.all_gather_object(gathered, value)
        return gathered


ALONE = Processes()


@contextmanager
def join(device: torch.device) -> Iterator[Processes]:
    """Join the processes that `torchrun` started, this one among them; without it, this one is alone.

    Tensors on a CPU go by gloo, those on a GPU by NCCL.
    """
    if num_processes() == 1:
        yield ALONE
        return
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    distributed.init_process_group(backend, timeout=PATIENCE)
    try:
        yield Processes(distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()


def num_processes() -> int:
    """Count the processes that were started together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first_process() -> bool:
    """Return whether this is the process that speaks for all, before and after they have joined."""
    return os.environ.get("RANK", "0") == "0"


def own_gpu() -> int:
    """Return the index of the GPU that this process is to use."""
    return int(os.environ.get("LOCAL_RANK", "0"))
