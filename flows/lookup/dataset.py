"""Is this version of a dataset built already?"""

from pathlib import Path

from flows.config.dataset_section import DatasetConfig
from flows.config.settings import Settings
from flows.datasets.in_use import find_in_use
from flows.datasets.remote_objects import missing_in_remote
from flows.runtime.code_digest import code_digest
from flows.runtime.errors import StageError
from flows.runtime.fingerprint import digest_of
from flows.runtime.records import DatasetVersion
from flows.sources.base import Source
from flows.sources.open import open_source
from flows.tracking.context import StageContext
from flows.tracking.runs import DATASETS_EXPERIMENT

# What reads the sources, and what decides labels, splits, duplicates and drift.
ENTRY_POINTS = (
    "flows.sources.open",
    "flows.datasets.builder",
    "flows.datasets.layout",
    "gan_models.ingest.decode_worker",
)


def open_sources(settings: Settings, config: DatasetConfig) -> list[Source]:
    """Return the sources of a dataset, in the order of the config.

    Raises:
        SourceError: a source is not there.
    """
    arriving = arriving_folder(settings, config.name)
    return [open_source(source, settings.root, settings.download_folder, arriving) for source in config.sources]


def arriving_folder(settings: Settings, name: str) -> Path:
    """Return where files wait that are on their way into a version; the next run uses what an interrupted one left."""
    return settings.state / "arriving" / name


def fingerprint(ctx: StageContext, sources: list[Source] | None = None) -> str:
    """Return the fingerprint of the config, of what the sources hold now, and of the code that decodes images.

    Args:
        sources: those of the config, where they are open already.

    Raises:
        SourceError: a source is not there.
    """
    config = ctx.model.dataset
    withdrawn = sorted(find_in_use(ctx.settings, ctx.tracking, config.name).listed.withdrawn)
    return digest_of(
        config=config,
        sources=[source.fingerprint() for source in sources or open_sources(ctx.settings, config)],
        code=code_digest(*ENTRY_POINTS),
        **({"withdrawn": withdrawn} if withdrawn else {}),
    )


def find(ctx: StageContext, fingerprint: str) -> DatasetVersion | None:
    """Return the finished version with this fingerprint."""
    return ctx.tracking.find_finished(DatasetVersion, DATASETS_EXPERIMENT, "dataset", fingerprint=fingerprint)


def find_kept(ctx: StageContext, fingerprint: str) -> DatasetVersion | None:
    """Return the finished version with this fingerprint, unless the remote, which is asked, has lost some of it."""
    done = find(ctx, fingerprint)
    return None if done is None or missing_in_remote(ctx.settings, done.dvc_md5) else done


def current(ctx: StageContext) -> DatasetVersion:
    """Return the version of what the config's sources hold now.

    Raises:
        StageError: it has not been built yet.
    """
    done = find(ctx, fingerprint(ctx))
    if done is None:
        raise StageError(
            f"dataset '{ctx.model.dataset.name}' has no version of what its sources hold now; "
            "run `atelier dataset` with this config first"
        )
    return done


def in_use(ctx: StageContext) -> DatasetVersion:
    """Return the version that the project has in use, whatever the sources hold now: nothing of them is read.

    Raises:
        StageError: there is none, or MLflow does not know it.
    """
    name = ctx.model.dataset.name
    found = find_in_use(ctx.settings, ctx.tracking, name)
    if found.md5 is None:
        raise StageError(f"dataset '{name}' has no version yet; run `atelier dataset` with this config first")
    if found.record is None:
        raise StageError(
            f"version {found.md5[:7]} of dataset '{name}', which is in use, is not known to this MLflow; "
            "run `atelier dataset` with this config to enter it there"
        )
    return found.record
