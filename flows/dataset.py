"""Stage one: images in, one immutable and versioned dataset out."""

import shutil
from dataclasses import asdict
from typing import TYPE_CHECKING

from prefect import flow

from flows.datasets import versions
from flows.datasets.data_folder import check_data_folder
from flows.datasets.dvc_remote import default_remote
from flows.datasets.in_use import catch_up, follow
from flows.datasets.layout import has_layout, has_other_tiles, write_layout
from flows.datasets.lineage import keep_lineage
from flows.datasets.remote_mark import REMOTE, open_remote
from flows.datasets.removal import commit_if_allowed
from flows.datasets.upkeep import ensure_kept
from flows.datasets.withdrawals import apply_withdrawals, withdrawals
from flows.lookup import dataset as lookup
from flows.runtime.locks import locked
from flows.runtime.prefect_runs import announce, in_one_sentence, name_flow_run
from flows.runtime.progress import echo, progress, with_rate
from flows.runtime.records import DatasetVersion
from flows.sources.base import Source
from flows.tracking.context import StageContext, publish, skip, stage_run
from flows.tracking.runs import DATASETS_EXPERIMENT

if TYPE_CHECKING:
    from flows.datasets.builder import BuildReport, Examine


@flow(name="dataset", description=__doc__)
@in_one_sentence
def dataset(config: str) -> DatasetVersion:
    """Build, validate and version the dataset that a model's config names.

    Args:
        config: the model's config file, relative to the project.
    """
    ctx = StageContext.open(config)
    name = ctx.model.dataset.name
    check_data_folder(ctx.settings.root, name)
    sources = lookup.open_sources(ctx.settings, ctx.model.dataset)
    fingerprint = lookup.fingerprint(ctx, sources)
    name_flow_run(f"dataset {name} {fingerprint[:7]}")
    with locked(ctx.settings, f"build-{name}"):
        done = lookup.find(ctx, fingerprint)
        if done and ensure_kept(ctx.settings, ctx.tracking, name, done.dvc_md5) and not _has_gone_back(ctx, done):
            return skip(ctx, done, "dataset", name, f"version {done.dvc_md5[:7]} has {_counts(done)}")
        return _build(ctx, fingerprint, sources)


def _has_gone_back(ctx: StageContext, done: DatasetVersion) -> bool:
    """Return whether the sources are as they were before this config made of them the version that is in use now.

    That version stays in use, since images are kept that have left their source: it is built upon and not gone back on.
    A version in use that another config made says nothing of these sources.
    """
    used = follow(ctx.settings, ctx.tracking, done.name)
    if used.record is None or used.md5 == done.dvc_md5:
        return False
    return ctx.tracking.params(done.run_id) == ctx.tracking.params(used.record.run_id)


def _build(ctx: StageContext, fingerprint: str, sources: list[Source]) -> DatasetVersion:
    settings, tracking, name = ctx.settings, ctx.tracking, ctx.model.dataset.name
    tags = {"dataset": name, REMOTE: default_remote(settings).url}
    with stage_run(ctx, DATASETS_EXPERIMENT, "dataset", fingerprint, name=name, tags=tags) as run_id:
        open_remote(settings, tracking)  # before hours of decoding, not after them
        commit = keep_lineage(tracking, run_id, "dataset")
        last = catch_up(settings, tracking, name).newest
        report = _ingest(ctx, sources, last)
        echo(f"dataset   {name}: versioning with DVC")
        md5 = versions.add_and_push(settings, name)
        commit_if_allowed(settings, name)
        version = DatasetVersion(
            fingerprint=fingerprint,
            run_id=run_id,
            name=name,
            content_digest=report.content_digest,
            dvc_md5=md5,
            git_commit=commit,
            num_train=report.splits["train"],
            num_evaluation=report.splits["evaluation"],
            num_quarantined=len(report.quarantined),
            seconds=ctx.seconds,
        )
        shutil.rmtree(lookup.arriving_folder(settings, name), ignore_errors=True)
        _log(ctx, version, report)
        echo(f"dataset   {name}: {report.in_words()}")
        tracking.finish(version)
    publish(ctx, "dataset", name, version, f"Version `{md5}` of **{name}**: {_counts(version)}.")
    announce("atelier.dataset.versioned", f"atelier.dataset.{name}", name, version.model_dump(mode="json"))
    return version


def _ingest(ctx: StageContext, sources: list[Source], last: DatasetVersion | None) -> "BuildReport":
    """Add what is new in the sources to `data/<name>`; where shards of another layout lie there, build it again.

    Args:
        last: the version that this one follows, of whose images no more than a share may be gone.
    """
    from flows.datasets.builder import build_dataset, examine_here

    settings, config = ctx.settings, ctx.model.dataset
    folder = settings.root / "data" / config.name
    apply_withdrawals(settings, config.name, folder)
    rebuild = not has_layout(folder, config)
    building = settings.state / "building" / config.name if rebuild else folder
    if rebuild:
        shutil.rmtree(building, ignore_errors=True)
    with progress(f"dataset {config.name}") as update:
        report = build_dataset(
            sources,
            building,
            evaluation_share=config.evaluation_share,
            tile=config.tile,
            max_tiles_per_image=config.max_tiles_per_image,
            max_quarantined_share=config.max_quarantined_share,
            min_side=config.min_side,
            expect=config.expect,
            max_drift=config.max_drift,
            num_before=last.num_train + last.num_evaluation if last and not has_other_tiles(folder, config) else 0,
            max_shrink=config.max_shrink,
            file_cache=settings.state / "file-cache" / f"{config.name}.sqlite",
            examine=_on_dask(settings.dask_address) if settings.dask_address else examine_here,
            quarantine=settings.state / "quarantine" / config.name,
            withdrawn={key: entry.source for key, entry in withdrawals(settings, config.name).items()},
            on_progress=with_rate(update, "images"),
        )
    write_layout(building, config)
    if rebuild:
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(exist_ok=True)
        shutil.move(building, folder)
    return report


def _log(ctx: StageContext, version: DatasetVersion, report: "BuildReport") -> None:
    config, tracking, run_id = ctx.model.dataset, ctx.tracking, version.run_id
    named = ", ".join(source.path for source in config.sources)
    tracking.log_params(run_id, {"sources": named, **config.model_dump(exclude={"sources"})})
    counts = {"images/train": version.num_train, "images/evaluation": version.num_evaluation}
    figures = {**counts, **report.figures()}
    tracking.log_metrics(run_id, [(name, float(value), 0, 0.0) for name, value in figures.items()])
    tracking.log_dataset(run_id, version, "version")
    tracking.log_table(run_id, [asdict(file) for file in report.quarantined], "quarantined.json")
    tracking.log_table(run_id, [asdict(pair) for pair in report.near_duplicates], "near_duplicates.json")
    tracking.describe(run_id, f"Version `{version.dvc_md5}` of **{version.name}**: {_counts(version)}.")


def _on_dask(address: str) -> "Examine":
    from flows.datasets.dask_decoding import on_dask  # importing Dask takes a second

    return on_dask(address)


def _counts(version: DatasetVersion) -> str:
    text = f"{version.num_train:,} training and {version.num_evaluation:,} evaluation images"
    return text + (f", {version.num_quarantined} quarantined" if version.num_quarantined else "")
