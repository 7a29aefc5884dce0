"""Stage one: images in, one immutable and versioned dataset out."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect import flow

from flows.config.model_config import DatasetConfig, SourceConfig
from flows.config.settings import Settings
from flows.datasets import versions
from flows.datasets.data_folder import check_data_folder
from flows.datasets.dvc_remote import check_reachable, default_remote
from flows.datasets.removal import commit_if_allowed
from flows.datasets.withdrawals import apply_withdrawals, withdrawals
from flows.lookup import dataset as lookup
from flows.runtime.locks import locked
from flows.runtime.prefect_runs import announce, name_flow_run
from flows.runtime.progress import echo, progress, with_rate
from flows.runtime.records import DatasetVersion
from flows.sources.base import Source
from flows.tracking.context import StageContext, publish, skip, stage_run
from flows.tracking.runs import DATASETS_EXPERIMENT

if TYPE_CHECKING:
    from flows.datasets.builder import Examine

LAYOUT_FILE = "_layout.json"  # the underscore keeps pandas and pyarrow from reading it as a shard
_FORMAT = 3  # of the columns that all shards of a dataset have, and of what is in them
_CUTTING = ("tile", "max_tiles_per_image", "evaluation_share", "min_side")


@flow(name="dataset", description=__doc__)
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
        if done:
            return skip(ctx, done, "dataset", name, f"version {done.dvc_md5[:7]} has {_counts(done)}")
        return _build(ctx, fingerprint, sources)


def _build(ctx: StageContext, fingerprint: str, sources: list[Source]) -> DatasetVersion:
    from flows.datasets.builder import build_dataset, examine_here

    settings, config, tracking = ctx.settings, ctx.model.dataset, ctx.tracking
    folder = settings.root / "data" / config.name
    tags = {"dataset": config.name, "git_commit": versions.git_commit(settings)}
    with stage_run(ctx, DATASETS_EXPERIMENT, "dataset", fingerprint, name=config.name, tags=tags) as run_id:
        check_reachable(settings)  # before hours of decoding, not after them
        _bring_back(settings, config.name)
        apply_withdrawals(settings, config.name, folder)
        anew = not _has_layout(folder, config)
        building = settings.state / "building" / config.name if anew else folder
        if anew:
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
                ledger=settings.state / "taken" / f"{config.name}.sqlite",
                examine=_on_dask(settings.dask_address) if settings.dask_address else examine_here,
                quarantine=settings.state / "quarantine" / config.name,
                withdrawn={key: entry.source for key, entry in withdrawals(settings, config.name).items()},
                on_progress=with_rate(update, "images"),
            )
        (building / LAYOUT_FILE).write_text(_layout(config, _written_layout(building)))
        if anew:
            shutil.rmtree(folder, ignore_errors=True)
            folder.parent.mkdir(exist_ok=True)
            shutil.move(building, folder)
        echo(f"dataset   {config.name}: versioning with DVC")
        md5 = versions.add_and_push(settings, config.name)
        commit_if_allowed(settings, config.name)
        version = DatasetVersion(
            fingerprint=fingerprint,
            run_id=run_id,
            name=config.name,
            content_digest=report.content_digest,
            dvc_md5=md5,
            git_commit=versions.git_commit(settings),
            num_train=report.splits["train"],
            num_evaluation=report.splits["evaluation"],
            num_quarantined=len(report.quarantined),
            seconds=ctx.seconds,
        )
        shutil.rmtree(lookup.arriving_folder(settings, config.name), ignore_errors=True)
        named = ", ".join(source.path for source in config.sources)
        tracking.log_params(run_id, {"sources": named, **config.model_dump(exclude={"sources"})})
        now = [("num_train", version.num_train), ("num_evaluation", version.num_evaluation)]
        tracking.log_metrics(run_id, [(f"images/{key[4:]}", float(count), 0, 0.0) for key, count in now])
        tracking.log_dataset(run_id, version, "version")
        tracking.log_metrics(run_id, [(name, value, 0, 0.0) for name, value in report.figures().items()])
        tracking.log_table(run_id, [asdict(file) for file in report.quarantined], "quarantined.json")
        tracking.log_table(run_id, [asdict(pair) for pair in report.near_duplicates], "near_duplicates.json")
        echo(f"dataset   {config.name}: {report.in_words()}")
        tracking.describe(run_id, f"Version `{md5}` of **{config.name}**: {_counts(version)}.")
        tracking.finish(version)
    publish(ctx, "dataset", config.name, run_id, f"Version `{md5}` of **{config.name}**: {_counts(version)}.")
    payload = version.model_dump(mode="json")
    announce("atelier.dataset.versioned", f"atelier.dataset.{config.name}", config.name, payload)
    return version


def _on_dask(address: str) -> "Examine":
    """Importing Dask takes a second."""
    from flows.datasets.dask_decoding import on_dask

    return on_dask(address)


def _bring_back(settings: Settings, name: str) -> None:
    """Put the version in use into `data/<name>`, so that new images join its shards: in a new clone it is not there.

    The default remote is a folder that a new clone lacks: the dataset is then built anew.
    """
    try:
        versions.restore(settings, name)
    except versions.LostVersionError:
        if default_remote(settings).is_s3:
            raise
        version, remote = (versions.tracked_md5(settings, name) or "")[:7], default_remote(settings).url
        echo(f"dataset   {name}: version {version} is not here or in {remote} yet, so it is built from its sources")


def _layout(config: DatasetConfig, written: dict[str, Any]) -> str:
    """How images are cut, split and described: shards of different layouts do not belong in one dataset.

    Sources that were there before are remembered, because their images are. While paths alone name them there is
    nothing to say of them.
    """
    parts = config.model_dump(include=set(_CUTTING)) | {"format": _FORMAT}
    sources = written.get("sources", {}) | {source.path: _description(source) for source in config.sources}
    if any(source != _description(SourceConfig(path=path)) for path, source in sources.items()):
        parts["sources"] = sources
    return json.dumps(parts, sort_keys=True, indent=1) + "\n"


def _has_layout(folder: Path, config: DatasetConfig) -> bool:
    """Whether new images may join the shards in the folder; if not it is built anew, and DVC keeps the old version."""
    written = _written_layout(folder)
    if {key: written.get(key) for key in _CUTTING} != config.model_dump(include=set(_CUTTING)):
        return False
    if written.get("format") != _FORMAT:
        return False
    known = written.get("sources")
    for source in config.sources:
        said = _description(source)
        if known is None and said != _description(SourceConfig(path=source.path)):
            return False  # its images may be there already, undescribed
        if known is not None and known.get(source.path, said) != said:
            return False
    return True


def _written_layout(folder: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((folder / LAYOUT_FILE).read_text()))
    except (OSError, ValueError):
        return {}


def _description(source: SourceConfig) -> dict[str, Any]:
    said = {"domain": source.domain, "labels": source.labels, "split_by": source.split_by}
    table = {"image_column": source.image_column, "label_column": source.label_column}
    masks = {"masks": source.masks} if source.masks else {}
    return said | table | {"pairs": source.pairs} | masks


def _counts(version: DatasetVersion) -> str:
    text = f"{version.num_train:,} training and {version.num_evaluation:,} evaluation images"
    return text + (f", {version.num_quarantined} quarantined" if version.num_quarantined else "")
