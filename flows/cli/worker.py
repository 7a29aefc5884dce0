"""`atelier worker`: a Prefect process worker that, when it is stopped, ends what it runs with a checkpoint."""

import asyncio
import contextlib
import os
import socket
from typing import Any
from uuid import UUID

from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.responses import WorkerFlowRunResponse
from prefect.states import AwaitingRetry
from prefect.workers.process import ProcessJobConfiguration, ProcessWorker, ProcessWorkerResult

from flows.config.settings import Settings
from flows.runtime.gpus import gpus_here
from flows.runtime.grace import FLOW_SECONDS
from flows.runtime.interruption import on_interruption
from flows.runtime.process_tree import MARK, end_marked, new_mark
from flows.runtime.progress import console

SECONDS_TO_REPORT = 10.0  # to the Prefect server, that a process was killed


def work(pool: str, limit: int | None, *, with_health_check: bool) -> None:
    """Take up flow runs of a work pool until it is asked to end; then end those under way, with a checkpoint each.

    Args:
        limit: how many at once; without it, see `runs_at_once`.
        with_health_check: answer at `/health` whether it still asks the server for runs.
    """
    os.environ.setdefault(MARK, new_mark())
    asyncio.run(_work(StoppableWorker(pool, limit or runs_at_once(pool)), with_health_check=with_health_check))


def runs_at_once(pool: str) -> int | None:
    """Return how many runs of a pool a worker takes up: of `gpu` one a GPU of this machine, of others any number."""
    return max(1, len(gpus_here())) if pool == "gpu" else None


async def _work(worker: "StoppableWorker", *, with_health_check: bool) -> None:
    asked, loop = asyncio.Event(), asyncio.get_running_loop()
    on_interruption(lambda: loop.call_soon_threadsafe(asked.set), lambda: end_marked(os.environ[MARK], 0.0))
    working = asyncio.create_task(worker.start(with_healthcheck=with_health_check, printer=_say))
    waiting = asyncio.create_task(asked.wait())
    await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
    if asked.is_set():
        _say("stopping: what runs is asked to end, with a checkpoint (Ctrl-C again: without)")
        await worker.end_flow_runs()
        working.cancel()
    waiting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await working


def _say(text: str) -> None:
    console.print(text, highlight=False, markup=False)


class StoppableWorker(ProcessWorker):
    """A process worker that can be told to take no more flow runs, and to end those it has.

    Prefect's own ends at SIGTERM by killing its flow runs: their trainers hear nothing, and the runs stay Running.
    """

    stopping = False

    def __init__(self, pool: str, limit: int | None) -> None:
        super().__init__(pool, name=f"{pool}-{socket.gethostname()}-{os.getpid()}", limit=limit)
        self._under_way: set[UUID] = set()
        settings = Settings()
        self._most_attempts, self._project = settings.max_attempts, settings.root

    @classmethod
    def __dispatch_key__(cls) -> str:
        return "atelier-process"  # Prefect looks workers up by it, and has a process worker already

    async def get_and_submit_flow_runs(self) -> list[FlowRun]:
        """Take up flow runs that are due, until the worker is stopping."""
        return [] if self.stopping else await super().get_and_submit_flow_runs()

    async def _submit_scheduled_flow_runs(self, flow_run_response: list[WorkerFlowRunResponse]) -> list[FlowRun]:
        """Leave those that are under way here, as after their server was away: Prefect's own worker dies of them."""
        new = [entry for entry in flow_run_response if entry.flow_run.id not in self._under_way]
        return await super()._submit_scheduled_flow_runs(new)

    async def run(
        self,
        flow_run: FlowRun,
        configuration: ProcessJobConfiguration,
        task_status: Any = None,  # noqa: ANN401
    ) -> ProcessWorkerResult:
        """Run a flow run in a process of its own; one that the worker ended in stopping goes back to the queue."""
        self._under_way.add(flow_run.id)
        configuration.working_dir = configuration.working_dir or self._project
        try:
            result = await super().run(flow_run, configuration, task_status)
            if self.stopping:
                await self._put_back(flow_run.id)
            return result
        finally:
            self._under_way.discard(flow_run.id)

    async def end_flow_runs(self) -> None:
        """Take no more, ask the processes of the flow runs to end, and wait until they have, or kill them."""
        self.stopping = True
        clock = asyncio.get_running_loop().time
        deadline = clock() + FLOW_SECONDS
        while True:
            await asyncio.to_thread(end_marked, os.environ[MARK], max(deadline - clock(), 0.0))
            if not (self._under_way or self._submitting_flow_run_ids) or clock() > deadline + SECONDS_TO_REPORT:
                return
            await asyncio.sleep(0.2)

    async def _put_back(self, run_id: UUID) -> None:
        """Queue a run again that was ended by us, where the server would not: it was not the run's fault."""
        run = await self.client.read_flow_run(run_id)
        if run.state and run.state.is_crashed() and not 0 < run.run_count < self._most_attempts:
            await self.client.set_flow_run_state(run_id, AwaitingRetry(message="Its worker was stopped."))
