"""Where images come from: packages that bring some along, torchvision, folders, archives, tables, buckets.

Opening a source and taking its fingerprint reads files only: no scikit-learn, scikit-image, pandas or PyTorch is
imported, and nothing is downloaded. Only the images of a `torchvision:` source are, when they are asked for.
"""

from pathlib import Path

from flows.config.dataset_section import SourceConfig
from flows.sources.archive import SUFFIXES as ARCHIVE_SUFFIXES
from flows.sources.archive import ArchiveSource
from flows.sources.base import Source, SourceError
from flows.sources.bucket import BucketSource
from flows.sources.builtin import BUILTIN_SOURCES
from flows.sources.described import DescribedSource
from flows.sources.folder import FolderSource
from flows.sources.pairs import PairedSource
from flows.sources.s3 import SCHEME, StorageError
from flows.sources.table import SUFFIXES as TABLE_SUFFIXES
from flows.sources.table import TableSource
from flows.sources.torchvision import PREFIX, TORCHVISION_SOURCES, TorchvisionSource
from gan_models.text import nearest


def open_source(
    source: SourceConfig | str, root: Path, downloads: Path | None = None, arriving: Path | None = None
) -> Source:
    """Return the source that a config names: `builtin:photos`, `torchvision:CIFAR10`, `s3://bucket/inbox`, or a path.

    A path is relative to `root` and leads to a folder, to an archive (zip, tar, tar.gz), or to a table (CSV, Parquet).
    In a folder, an archive and a bucket, the sub-folders are labels, and folders within those only order things. Hidden
    files and known litter are ignored. Everything else counts as an image, so that what is none is reported rather than
    overlooked.

    Args:
        source: the path, or a mapping that says more.
        root: of the project.
        downloads: where torchvision's datasets are, or are put; without it, the project's `.atelier/downloads`.
        arriving: where files wait that are on their way into a version; without it, `.atelier/arriving`.

    Raises:
        SourceError: an unknown name, a missing or empty folder, or one that cannot be read. Of archives, buckets and
            tables, it is raised when their files are first asked for.
    """
    config = SourceConfig(path=source) if isinstance(source, str) else source
    _check_keys(config)
    state = root / ".atelier"
    opened = _open(config, root, downloads or state / "downloads", arriving or state / "arriving")
    if config.pairs:
        opened = PairedSource(opened, config.pairs, config.masks)
    said = config.domain is not None or config.labels == "file" or config.split_by == "tile"
    return DescribedSource(opened, config) if said else opened


def _check_keys(config: SourceConfig) -> None:
    """Refuse what is said of a table, or of what comes over a network, where a source is none: it would be ignored."""
    if config.path.lower().endswith(TABLE_SUFFIXES):
        return
    comes_over_a_network = config.path.startswith(SCHEME) or config.path in TORCHVISION_SOURCES
    for key in ("image_column", "label_column", "hosts", "max_hours"):
        if getattr(config, key) != SourceConfig.model_fields[key].default:
            if key == "max_hours" and comes_over_a_network:
                continue
            raise SourceError(
                f"the source {config.path!r} is no table ({', '.join(TABLE_SUFFIXES)}), and {key!r} is said of tables; "
                "leave it out"
            )


def _open(config: SourceConfig, root: Path, downloads: Path, arriving: Path) -> Source:
    spec, by_folder = config.path, config.labels == "folder" and not config.pairs
    if spec.startswith(SCHEME):
        try:
            return BucketSource(spec, arriving, folders_are_labels=by_folder, max_hours=config.max_hours)
        except StorageError as error:
            raise SourceError(str(error)) from None
    if spec in BUILTIN_SOURCES:
        return BUILTIN_SOURCES[spec]()
    if spec in TORCHVISION_SOURCES:
        return TorchvisionSource(spec, downloads, max_hours=config.max_hours)
    folder = root / spec
    is_named = spec.startswith(("builtin:", PREFIX))
    if is_named or not folder.exists():
        known = {name.split(":")[1].lower(): name for name in (*BUILTIN_SOURCES, *TORCHVISION_SOURCES)}
        near = nearest(spec.split(":")[-1], known)
        choice = f"it can be a folder or one of {', '.join(known.values())}"
        hint = f"did you mean '{known[near]}'?" if near else choice
        kind = "source" if is_named else "folder"
        raise SourceError(f"there is no {kind} {spec!r}; {hint}")
    if not folder.is_dir():
        if spec.lower().endswith(ARCHIVE_SUFFIXES):
            return ArchiveSource(spec, folder, arriving, folders_are_labels=by_folder)
        if spec.lower().endswith(TABLE_SUFFIXES):
            return TableSource(config, folder)
        raise SourceError(
            f"the source {spec!r} is a file; name the folder that the images are in, "
            f"an archive ({', '.join(ARCHIVE_SUFFIXES)}) or a table ({', '.join(TABLE_SUFFIXES)})"
        )
    return FolderSource(spec, folder, folders_are_labels=by_folder)
