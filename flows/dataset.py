"""Stage one: images in, one immutable and versioned dataset out."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.events import emit_event

from flows import versioning
from flows.fingerprint import IMAGE_SOURCES, fingerprint, source_digest
from flows.model_config import DatasetConfig, SourceConfig
from flows.orchestration import Workplace, enter, name_flow_run, publish, skip, stage_run
from flows.progress import progress, say
from flows.records import DatasetVersion
from flows.settings import Settings
from flows.source_item import Source
from flows.sources import open_source
from flows.tracking import DATASETS_EXPERIMENT

LAYOUT_FILE = "_layout.json"  # the underscore keeps pandas and pyarrow from reading it as a shard
_CUTTING = ("tile", "max_tiles_per_image", "evaluation_share", "min_side")


@flow(name="dataset", description=__doc__)
def dataset(config: str) -> DatasetVersion:
    """Build, validate and version the dataset that a model's config names.

    Args:
        config: the model's config file, relative to the project.
    """
    place = enter(config)
    name = place.model.dataset.name
    mark = dataset_fingerprint(place.settings, place.model.dataset)
    name_flow_run(f"dataset {name} {mark[:7]}")
    with versioning.locked(place.settings, f"build-{name}"):
        done = find_dataset(place, mark)
        if done:
            return skip(place, done, "dataset", name, f"version {done.dvc_md5[:7]} has {_counts(done)}")
        return _build(place, mark)


def dataset_fingerprint(settings: Settings, config: DatasetConfig) -> str:
    """Of the config, of what the sources hold now, and of the code that decodes images.

    Raises:
        SourceError: a source is not there.
    """
    return fingerprint(
        config=config,
        sources=[source.fingerprint() for source in open_sources(settings, config)],
        code=source_digest(*IMAGE_SOURCES),
    )


def open_sources(settings: Settings, config: DatasetConfig) -> list[Source]:
    """The sources of a dataset, in the order of the config.

    Raises:
        SourceError: a source is not there.
    """
    return [open_source(source, settings.root, settings.download_folder) for source in config.sources]


def find_dataset(place: Workplace, mark: str) -> DatasetVersion | None:
    """The finished version with this fingerprint."""
    return place.tracking.find_finished(DatasetVersion, DATASETS_EXPERIMENT, "dataset", fingerprint=mark)


def _build(place: Workplace, mark: str) -> DatasetVersion:
    from flows.building import build_dataset

    settings, config, tracking = place.settings, place.model.dataset, place.tracking
    folder = settings.root / "data" / config.name
    tags = {"dataset": config.name, "git_commit": versioning.git_commit(settings)}
    with stage_run(place, DATASETS_EXPERIMENT, "dataset", mark, subject=config.name, tags=tags) as run_id:
        anew = not _has_layout(folder, config)
        building = settings.state / "building" / config.name if anew else folder
        if anew:
            shutil.rmtree(building, ignore_errors=True)
        with progress(f"dataset {config.name}") as update:
            report = build_dataset(
                open_sources(settings, config),
                building,
                evaluation_share=config.evaluation_share,
                tile=config.tile,
                max_tiles_per_image=config.max_tiles_per_image,
                max_quarantined_share=config.max_quarantined_share,
                min_side=config.min_side,
                quarantine=settings.state / "quarantine" / config.name,
                on_progress=lambda done, total: update(done, total, "images"),
            )
        (building / LAYOUT_FILE).write_text(_layout(config, _written_layout(building)))
        if anew:
            shutil.rmtree(folder, ignore_errors=True)
            folder.parent.mkdir(exist_ok=True)
            shutil.move(building, folder)
        say(f"dataset   {config.name}: versioning with DVC")
        md5 = versioning.add_and_push(settings, config.name)
        if settings.commit_data:
            versioning.commit_version(settings, config.name)
        version = DatasetVersion(
            fingerprint=mark,
            run_id=run_id,
            name=config.name,
            content_digest=report.content_digest,
            dvc_md5=md5,
            git_commit=versioning.git_commit(settings),
            num_train=report.splits["train"],
            num_evaluation=report.splits["evaluation"],
            num_quarantined=len(report.quarantined),
            seconds=place.seconds,
        )
        sources = ", ".join(source.path for source in config.sources)
        tracking.log_params(run_id, {"sources": sources, **config.model_dump(exclude={"sources"})})
        now = [("num_train", version.num_train), ("num_evaluation", version.num_evaluation)]
        tracking.log_metrics(run_id, [(f"images/{key[4:]}", float(count), 0, 0.0) for key, count in now])
        tracking.log_dataset(run_id, version, "version")
        tracking.log_table(run_id, [asdict(file) for file in report.quarantined], "quarantined.json")
        tracking.describe(run_id, f"Version `{md5}` of **{config.name}**: {_counts(version)}.")
        tracking.finish(version)
    publish(place, "dataset", config.name, run_id, f"Version `{md5}` of **{config.name}**: {_counts(version)}.")
    emit_event(
        "atelier.dataset.versioned",
        resource={"prefect.resource.id": f"atelier.dataset.{config.name}", "prefect.resource.name": config.name},
        payload=version.model_dump(mode="json"),
    )
    return version


def _layout(config: DatasetConfig, written: dict[str, Any]) -> str:
    """How images are cut, split and described: shards of different layouts do not belong in one dataset.

    Sources that were there before are remembered, because their images are. While paths alone name them there is
    nothing to say of them.
    """
    parts = config.model_dump(include=set(_CUTTING))
    sources = written.get("sources", {}) | {source.path: _description(source) for source in config.sources}
    if any(source != _description(SourceConfig(path=path)) for path, source in sources.items()):
        parts["sources"] = sources
    return json.dumps(parts, sort_keys=True, indent=1) + "\n"


def _has_layout(folder: Path, config: DatasetConfig) -> bool:
    """Whether new images may join the shards in the folder; if not it is built anew, and DVC keeps the old version."""
    written = _written_layout(folder)
    if {key: written.get(key) for key in _CUTTING} != config.model_dump(include=set(_CUTTING)):
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
    return {"domain": source.domain, "labels": source.labels, "split_by": source.split_by}


def _counts(version: DatasetVersion) -> str:
    text = f"{version.num_train:,} training and {version.num_evaluation:,} evaluation images"
    return text + (f", {version.num_quarantined} quarantined" if version.num_quarantined else "")
