"""Taking images out of a dataset: a new version without them, of which only their shards are new."""

import time
from collections.abc import Sequence
from dataclasses import asdict

from flows.config.dataset_section import DatasetConfig
from flows.config.settings import Settings
from flows.datasets import versions
from flows.datasets.dvc_file import tracked_md5
from flows.datasets.errors import VersioningError
from flows.datasets.git import git
from flows.datasets.in_use import catch_up
from flows.datasets.lineage import keep_lineage
from flows.datasets.remote_mark import REMOTE, open_remote
from flows.datasets.withdrawal_ledger import enter, mirror, shared_list
from flows.datasets.withdrawals import (
    RemovalError,
    apply_withdrawals,
    decided,
    find_images,
    withdrawals,
    write_list,
)
from flows.runtime.fingerprint import digest_of
from flows.runtime.locks import locked
from flows.runtime.progress import echo
from flows.runtime.records import DatasetVersion
from flows.tracking.context import close_failed
from flows.tracking.runs import DATASETS_EXPERIMENT, Tracking
from gan_models.data.shards import content_digest, shard_paths, statistics


def remove_from_dataset(
    settings: Settings,
    tracking: Tracking,
    config: DatasetConfig,
    *,
    ids: Sequence[str],
    sources: Sequence[str],
    reason: str,
    who: str | None,
) -> DatasetVersion:
    """Make a version without the images that are meant. The sources are not asked: what is new there stays there.

    What is withdrawn is entered in MLflow first, from where it holds for every worker. If anything fails after that,
    the same call, or the next run of the dataset stage, ends what was begun.

    Raises:
        RemovalError: it is not clear which images are meant; nothing is done.
        VersioningError: the remote cannot be used, or failed while it was sent to. No version was made; in the second
            case the images are on the list.
        DataError: nothing would be left of the dataset.
    """
    started = time.monotonic()
    name = config.name
    with locked(settings, f"build-{name}"):
        remote = open_remote(settings, tracking)
        used = catch_up(settings, tracking, name).md5
        folder = settings.root / "data" / name
        if not shard_paths(folder):
            state = "has no version yet; there is nothing to remove"
            if used is not None:
                state = f"is to be built again first, since version {used[:7]} is lost: run `atelier dataset`"
            raise RemovalError(f"the dataset '{name}' {state}")
        listed = withdrawals(settings, name)
        images = find_images(folder, listed, ids, sources)
        new = {key: source for key, source in images.items() if key not in listed}
        listed |= (entered := decided(settings, new, reason=reason, who=who))
        enter(tracking, name, withdrawn=entered.values())
        write_list(settings, name, listed)
        apply_withdrawals(settings, name, folder)
        entries = [listed[key] for key in images]
        change = f"{len(entries):,} withdrawn by {entries[0].who}: {entries[0].reason}"
        fingerprint = digest_of(dataset=name, content=content_digest(folder), withdrawn=sorted(listed))
        done = tracking.find_finished(DatasetVersion, DATASETS_EXPERIMENT, "dataset", fingerprint=fingerprint)
        if done and done.dvc_md5 == tracked_md5(settings, name):
            echo(f"dataset   {name}: withdrawn before, at {entries[0].when} by {entries[0].who}; nothing to do")
            return done.model_copy(update={"skipped": True})
        tags = {"dataset": name, "change": change, REMOTE: remote.url}
        run_id = tracking.open_run(DATASETS_EXPERIMENT, "dataset", fingerprint, name=name, tags=tags)
        try:
            commit = keep_lineage(tracking, run_id, "dataset")
            echo(f"dataset   {name}: versioning with DVC")
            md5 = versions.add_and_push(settings, name)
            committed = commit_if_allowed(settings, name, f"data: {name} without {len(entries):,} withdrawn images")
            splits = statistics(folder).splits
            version = DatasetVersion(
                fingerprint=fingerprint,
                run_id=run_id,
                name=name,
                content_digest=content_digest(folder),
                dvc_md5=md5,
                git_commit=commit,
                num_train=splits.get("train", 0),
                num_evaluation=splits.get("evaluation", 0),
                seconds=round(time.monotonic() - started, 1),
            )
            tracking.log_dataset(run_id, version, "version")
            tracking.log_table(run_id, [asdict(entry) for entry in entries], "withdrawn.json")
            tracking.describe(run_id, f"Version `{md5}` of **{name}**: {change}.")
            tracking.finish(version)
        except BaseException as error:
            close_failed(tracking, run_id, error, f"dataset   {name}")
            raise
    echo(f"dataset   {name}: {change}; version {md5[:7]} has {version.num_train + version.num_evaluation:,} images")
    if not committed:
        echo(f"dataset   keep the record: git add data.dvc data/{name}.withdrawn.csv, and commit")
    return version


def readmit(
    settings: Settings,
    tracking: Tracking,
    config: DatasetConfig,
    *,
    ids: Sequence[str],
    sources: Sequence[str],
    reason: str,
    who: str | None,
) -> int:
    """Take images from the list again, for every worker: the next version has them from their sources.

    Returns:
        How many there are.

    Raises:
        RemovalError: it is not clear which images are meant; nothing is done.
    """
    name = config.name
    with locked(settings, f"build-{name}"):
        mirror(settings, tracking, name, shared_list(settings, tracking, name))
        listed = withdrawals(settings, name)
        if not listed:
            raise RemovalError(f"no image of the dataset '{name}' is withdrawn")
        images = find_images(None, listed, ids, sources)
        enter(tracking, name, readmitted=decided(settings, images, reason=reason, who=who).values())
        write_list(settings, name, {key: entry for key, entry in listed.items() if key not in images})
    echo(f"dataset   {name}: {len(images):,} images are no longer withdrawn; the next `atelier dataset` takes them in")
    return len(images)


def commit_if_allowed(settings: Settings, name: str, message: str | None = None) -> bool:
    """Commit what git keeps of a dataset, and push it, where this worker is told to. A version is whole without either,
    in DVC and MLflow, so that what git refuses is told of and nothing more.

    Returns:
        Whether it was committed.
    """
    if not settings.commit_data:
        return False
    try:
        versions.commit_version(settings, name, message)
    except VersioningError as error:
        echo(f"dataset   {name}: the version is whole in DVC and MLflow, but not committed: {error}")
        return False
    if settings.push_data:
        try:
            git(["push", "--quiet"], settings)
        except VersioningError as error:
            echo(f"dataset   {name}: the version is whole in DVC and MLflow, and committed, but not pushed: {error}")
    return True
