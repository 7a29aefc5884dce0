"""What happens to the stack, step by step. Each step returns what a person would have seen."""

from tests.stack.faults import Faults
from tests.stack.nights import Nights
from tests.stack.report import Step


class Scenario(Nights, Faults):
    """The steps on one stack."""

    def steps(self) -> dict[str, Step]:
        """Return the steps in their order."""
        return {
            "start": self.start,
            "first retrain of both demo models": self.first_retrain,
            "second retrain": self.second_retrain,
            "new images in the bucket overnight": self.night,
            "doctor and metrics": self.doctor,
            "trainer killed (1)": self.trainer_killed,
            "flow process killed (7)": lambda: self.killed("prefect.engine"),
            "worker killed (8)": lambda: self.killed("atelier worker"),
            "whole container killed (8)": self.container_killed,
            "container frozen for 150 s of a training (6)": self.container_frozen,
            "worker stopped (5)": self.worker_stopped,
            "Prefect restarted during a training (9)": lambda: self.server_restarted("prefect-server"),
            "Postgres restarted during a training (9)": lambda: self.server_restarted("postgres"),
            "MLflow gone for 40 s of a training (12)": lambda: self.server_away("mlflow-server", "stop"),
            "MLflow hanging for 40 s of a training (12)": lambda: self.server_away("mlflow-server", "pause"),
            "MLflow without its database for 40 s of a training (12)": self.mlflow_fails,
            "S3 killed while a dataset version is sent (17)": self.storage_killed,
            "S3 hanging at the start (10)": self.no_storage,
            "two retrains and two promotions at once, a trigger delivered twice (20, 22, 44)": self.two_at_once,
            "upgrade during a training (55)": self.upgrade,
            "backup during a training, and restore into an empty stack": self.restore,
        }
