"""How images are cut, split and described: shards of different layouts do not belong in one dataset."""

import json
from pathlib import Path
from typing import Any

from flows.config.dataset_section import DatasetConfig, SourceConfig

LAYOUT_FILE = "_layout.json"  # the underscore keeps pandas and pyarrow from reading it as a shard
_FORMAT = 3  # of the columns that all shards of a dataset have, and of what is in them
_TILING = ("tile", "max_tiles_per_image")
_CUTTING = (*_TILING, "evaluation_share", "min_side")


def has_layout(folder: Path, config: DatasetConfig) -> bool:
    """Return whether new images may join the shards in a folder; if not, the dataset is built from its sources."""
    written = _written(folder)
    if written.get("format") != _FORMAT or not _cut_alike(written, config, _CUTTING):
        return False
    known = written.get("sources")
    for source in config.sources:
        description = _description(source)
        if known is None and description != _description(SourceConfig(path=source.path)):
            return False  # its images may be there already, undescribed
        if known is not None and known.get(source.path, description) != description:
            return False
    return True


def has_other_tiles(folder: Path, config: DatasetConfig) -> bool:
    """Return whether the images in a folder are known to be cut otherwise than a config says, so that counts differ."""
    written = _written(folder)
    return bool(written) and not _cut_alike(written, config, _TILING)


def write_layout(folder: Path, config: DatasetConfig) -> None:
    """Write the layout of the shards in a folder.

    Sources that were there before are remembered, because their images are. While paths alone name them there is
    nothing to say of them.
    """
    parts = config.model_dump(include=set(_CUTTING)) | {"format": _FORMAT}
    before = _written(folder).get("sources", {})
    sources = before | {source.path: _description(source) for source in config.sources}
    if any(source != _description(SourceConfig(path=path)) for path, source in sources.items()):
        parts["sources"] = sources
    (folder / LAYOUT_FILE).write_text(json.dumps(parts, sort_keys=True, indent=1) + "\n")


def _written(folder: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((folder / LAYOUT_FILE).read_text()))
    except (OSError, ValueError):
        return {}


def _cut_alike(written: dict[str, Any], config: DatasetConfig, keys: tuple[str, ...]) -> bool:
    return {key: written.get(key) for key in keys} == config.model_dump(include=set(keys))


def _description(source: SourceConfig) -> dict[str, Any]:
    facts = ("domain", "labels", "split_by", "image_column", "label_column", "pairs")
    masks = {"masks": source.masks} if source.masks else {}  # said only where there are some: older layouts have none
    return {fact: getattr(source, fact) for fact in facts} | masks
