"""What goes wrong, by the numbers that the steps are called by: kills, servers that are away, two at once."""

import time

import httpx

from tests.stack.models import SLOW, Models


class Faults(Models):
    """The steps in which something is broken on purpose, each of which ends with the invariants."""

    def trainer_killed(self) -> str:
        """Where memory runs out it would run out again: nothing begins it anew by itself, and who does resumes it."""
        run = self.slow_training()
        self.stack.kill_process("worker-no-gpu", "gan_models.training")
        failed = self.stack.await_end(run)["state"]
        assert failed["type"] == "FAILED", failed
        again = self.recovered(self.stack.submit(f"retrain/{SLOW}"))
        return f"failed at once, '{failed['message']}'; retrained: {again}"

    def killed(self, words: str) -> str:
        run = self.slow_training()
        self.stack.kill_process("worker-no-gpu", words)
        return self.recovered(run)

    def container_killed(self) -> str:
        run = self.slow_training()
        self.stack.docker("kill", self.stack.container("worker-no-gpu"))
        self.stack.start()
        return self.recovered(run)

    def container_frozen(self) -> str:
        """Freeze what trains until others believe that it is dead; then it wakes, and knows nothing of that."""
        run = self.slow_training()
        with self.stack.without("worker-no-gpu", "pause"):
            time.sleep(150)
            meanwhile = self.stack.run_state(run)["state_name"]
        return f"the retrain was {meanwhile} meanwhile; {self.recovered(run)}"

    def worker_stopped(self) -> str:
        run = self.slow_training()
        before = self.checkpoints()
        begun = time.monotonic()
        self.stack.compose("stop", "worker-no-gpu")
        seconds = time.monotonic() - begun
        self.stack.start()
        new = self.checkpoints() - before
        assert new, "no checkpoint was written when it was asked to stop"
        return f"stopped in {seconds:.0f} s with a checkpoint; {self.recovered(run)}"

    def server_restarted(self, service: str) -> str:
        run = self.slow_training()
        self.stack.docker("restart", self.stack.container(service))
        return self.recovered(run)

    def server_away(self, service: str, how: str) -> str:
        run = self.slow_training()
        with self.stack.without(service, how):
            time.sleep(40)
        return self.recovered(run)

    def mlflow_fails(self) -> str:
        """Keep MLflow out of its database, which it answers to whoever asks with an error of its own."""
        run = self.slow_training()
        self.stack.sql("ALTER ROLE mlflow NOLOGIN")
        self.stack.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'mlflow'")
        answer = httpx.get(
            f"{self.stack.mlflow}/api/2.0/mlflow/experiments/get", params={"experiment_id": "0"}, timeout=60
        )
        time.sleep(40)
        self.stack.sql("ALTER ROLE mlflow LOGIN")
        assert answer.is_server_error, answer.text
        return f"MLflow answered {answer.status_code}; {self.recovered(run)}"

    def storage_killed(self) -> str:
        self.new_seed()
        self.stack.edit(SLOW, "dataset", name="sent")
        run = self.stack.submit(f"dataset/{SLOW}")
        self.stack.wait(lambda: self.stack.run_state(run)["state_type"] == "RUNNING", "running dataset")
        self.stack.docker("kill", self.stack.container("s3"))
        first = self.stack.await_end(run)["state"]
        self.stack.start()
        second = self.stack.await_end(self.stack.submit(f"dataset/{SLOW}"))["state"]
        assert second["type"] == "COMPLETED", second
        self.retrain()
        self.check_invariants()
        self.stack.edit(SLOW, "dataset", name="digits")
        return f"first {first['name']}: {first['message']}; then {second['name']}"

    def no_storage(self) -> str:
        self.new_seed()
        self.stack.edit(SLOW, "dataset", name="hung")
        with self.stack.without("s3", "pause"):
            ended = self.stack.await_end(self.stack.submit(f"dataset/{SLOW}"))["state"]
        assert ended["type"] == "FAILED", ended
        assert "http://s3:8333" in ended["message"], ended
        self.check_invariants(told=ended["message"])
        self.stack.edit(SLOW, "dataset", name="digits")
        return f"dataset ended as {ended['name']}: {ended['message']}"

    def two_at_once(self) -> str:
        self.new_seed()
        before = len(self.versions_of(SLOW))
        keys = ("first", "first", "second")
        runs = [self.stack.submit(f"retrain/{SLOW}", idempotency_key=f"{key}-{self.seed}") for key in keys]
        assert len(set(runs)) == 2, "a trigger that is delivered twice begins one run"
        ended = [self.stack.await_end(run)["state"] for run in dict.fromkeys(runs)]
        promotions = [self.stack.submit(f"promote/{SLOW}") for _ in range(2)]
        ended += [self.stack.await_end(run)["state"] for run in promotions]
        assert all(state["type"] == "COMPLETED" for state in ended), ended
        assert len(self.versions_of(SLOW)) == before + 1
        self.check_invariants()
        return "one new version; " + " / ".join(f"{state['message']}" for state in ended)
