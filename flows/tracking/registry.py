"""MLflow's model side: logged models, registered versions, aliases.

Aliases: `challenger` is evaluated but not promoted, `champion` is in production, `previous` is what a rollback returns
to. MLflow keeps no history of aliases, so every move of one is also a run of the promote stage.
"""

import importlib.metadata
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import gan_models
from flows.config.model_config import REFERENCE
from flows.tracking.client import every_page
from flows.tracking.errors import TrackingError
from flows.tracking.runs import Tracking
from gan_models.bundles.description import DESCRIPTION
from gan_models.errors import AtelierError
from gan_models.text import did_you_mean, one_line

if TYPE_CHECKING:
    from mlflow.entities.model_registry import RegisteredModel

Alias = Literal["challenger", "champion", "previous"]
BUNDLE = "artifacts/bundle"  # within a logged model
SERVING_PACKAGES = ("mlflow", "torch", "safetensors", "numpy", "pillow", "pydantic", "pyyaml")


class UnknownModelError(AtelierError):
    """No such model, version or alias; the message offers what there is."""


@dataclass(frozen=True)
class ModelVersion:
    """A registered version of a model. `tags` lead to the run, the config, the git commit and the data."""

    model: str
    version: str
    logged_model_id: str
    tags: dict[str, str]


class Registry:
    """The models of an MLflow."""

    def __init__(self, tracking: Tracking) -> None:
        self.tracking = tracking

    # Logged models

    def log_model(self, run_id: str, bundle: Path, *, name: str, params: Mapping[str, Any]) -> str:
        """Log a bundle as a pyfunc model from code, with no pickle anywhere.

        Returns:
            The id of the logged model.

        Raises:
            StaleAttemptError: another attempt has taken up the run.
        """
        import mlflow

        self.tracking.check_current(run_id)
        mlflow.set_tracking_uri(self.tracking.uri)

        def log() -> str:
            with mlflow.start_run(run_id=run_id):
                info = mlflow.pyfunc.log_model(
                    name=name,
                    python_model=str(Path(__file__).with_name("served_model.py")),
                    artifacts={"bundle": str(bundle)},
                    code_paths=[str(Path(gan_models.__file__).parent)],
                    pip_requirements=[
                        f"{package}=={importlib.metadata.version(package)}" for package in SERVING_PACKAGES
                    ],
                    params={name: str(value) for name, value in params.items()},
                )
            return str(info.model_id)

        return self.tracking.transfer(log)

    def fetch_bundle(self, logged_model_id: str) -> Path:
        """Return the folder of a logged model's bundle, downloaded once.

        Raises:
            UnknownModelError: it is not there.
            TrackingError: it is there, and its files don't come, which is no reason to decide anything.
        """
        from mlflow.exceptions import MlflowException

        folder = self.tracking.settings.state / "cache" / "models" / logged_model_id
        if not folder.exists():
            import mlflow

            mlflow.set_tracking_uri(self.tracking.uri)
            folder.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder.parent, ignore_cleanup_errors=True) as arriving:
                try:
                    uri = f"models:/{logged_model_id}"
                    self.tracking.transfer(lambda: mlflow.artifacts.download_artifacts(uri, dst_path=arriving))
                except (MlflowException, OSError) as error:
                    why = f"the files of {logged_model_id} cannot be fetched: {one_line(error, 300)}"
                    if self.has_files(logged_model_id):
                        raise TrackingError(f"{why}; MLflow has them, so run again when they can be had") from None
                    raise UnknownModelError(why) from None
                Path(arriving).rename(folder)
                Path(arriving).mkdir()
        return folder / BUNDLE

    def has_files(self, logged_model_id: str) -> bool:
        """Return whether MLflow has the bundle of a logged model still; one request or two, and nothing is fetched."""
        from mlflow.exceptions import MlflowException

        try:
            found = self.tracking.client.list_logged_model_artifacts(logged_model_id, BUNDLE)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return False
        return any(Path(file.path).name == DESCRIPTION for file in found)

    # Registered versions

    def register(
        self, model: str, logged_model_id: str, *, run_id: str, description: str, tags: Mapping[str, str]
    ) -> str:
        """Return the version of a logged model: the one there is, or a new one; a lost reply makes no second one."""
        from mlflow.exceptions import MlflowException

        client = self.tracking.client
        try:
            client.create_registered_model(model, description=description)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            client.update_registered_model(model, description)
        for known in self.versions(model):
            if known.logged_model_id == logged_model_id:
                return known.version
        version = client.create_model_version(
            model,
            source=f"models:/{logged_model_id}",
            run_id=run_id,
            model_id=logged_model_id,
            tags={"logged_model": logged_model_id, **tags},
        )
        return str(version.version)

    def annotate(self, model: str, version: str, *, description: str, tags: Mapping[str, str]) -> None:
        """Set the description and tags that the model's page shows for a version."""
        self.tracking.client.update_model_version(model, version, description)
        for name, value in tags.items():
            self.tracking.client.set_model_version_tag(model, version, name, value)

    def at(self, model: str, alias: str) -> ModelVersion | None:
        """Return the version an alias points to, or None where the model, the alias or its version is not there."""
        from mlflow.exceptions import MlflowException

        try:
            version = self.tracking.client.get_model_version_by_alias(model, alias)
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise
        return _model_version(model, version.version, dict(version.tags))

    def resolve(self, reference: str) -> ModelVersion:
        """Return the version that `models:/name/3` or `models:/name@alias` names.

        Raises:
            UnknownModelError: it is written otherwise, or there is no such model, version or alias.
        """
        parts = REFERENCE.fullmatch(reference)
        if parts is None:
            raise UnknownModelError(f"'{reference}' names no model; write models:/name/3 or models:/name@champion")
        name, alias, version = parts["name"], parts["alias"], parts["version"]
        self.check(name)
        if alias:
            found = self.at(name, alias)
            if found is None:
                raise UnknownModelError(
                    f"'{name}' has no alias '{alias}'; {did_you_mean(alias, sorted(self.aliases(name)))}"
                )
            return found
        versions = self.versions(name)
        for known_version in versions:
            if known_version.version == version:
                return known_version
        has = ", ".join(known_version.version for known_version in versions)
        raise UnknownModelError(f"'{name}' has no version {version}; it has {has or 'none'}")

    def is_registered(self, model: str) -> bool:
        """Return whether there is a registered model of this name, with or without versions."""
        return self._registered(model) is not None

    def check(self, model: str) -> None:
        """Raise an UnknownModelError that offers the nearest name unless a model is registered."""
        if not self.is_registered(model):
            raise UnknownModelError(f"no model '{model}' is registered; {did_you_mean(model, self.models())}")

    def aliases(self, model: str) -> dict[str, str]:
        """Return all aliases of a model, each with the version it points to."""
        registered = self._registered(model)
        return {alias: str(version) for alias, version in registered.aliases.items()} if registered else {}

    def _registered(self, model: str) -> "RegisteredModel | None":
        from mlflow.exceptions import MlflowException

        try:
            return self.tracking.client.get_registered_model(model)
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):  # or no name of a model
                return None
            raise

    def log_file(self, logged_model_id: str, file: Path) -> None:
        """Put a file next to a logged model's own."""
        self.tracking.client.log_model_artifact(logged_model_id, str(file))

    def point(self, model: str, alias: Alias, version: str | None) -> None:
        """Let an alias point to a version, or to none."""
        if version is None:
            self.tracking.client.delete_registered_model_alias(model, alias)
        else:
            self.tracking.client.set_registered_model_alias(model, alias, version)

    def models(self) -> list[str]:
        """Return the names of all registered models."""
        search = self.tracking.client.search_registered_models
        return sorted(model.name for model in every_page(lambda token: search(page_token=token)))

    def versions(self, model: str) -> list[ModelVersion]:
        """Return all versions of a model, newest first."""
        search = self.tracking.client.search_model_versions
        found = every_page(lambda token: search(f"name = '{model}'", page_token=token))
        return sorted(
            (_model_version(model, version.version, dict(version.tags)) for version in found),
            key=lambda version: -int(version.version),
        )


def _model_version(model: str, version: str | int, tags: dict[str, str]) -> ModelVersion:
    return ModelVersion(model, str(version), tags.get("logged_model", ""), tags)
