"""What makes a dataset a dataset, and one that the config expects: the rules by which a version is refused."""

from flows.config.dataset_section import DriftLimits, Expectations
from flows.datasets.ingest_session import IngestSession, domains_of
from gan_models.errors import AtelierError
from gan_models.ingest.drift import Drift


class DatasetRefusedError(AtelierError):
    """A dataset that is not built; nothing of it was written, and the message says why and what to do."""


def check_dataset(found: IngestSession, total: int, max_quarantined_share: float, expect: Expectations) -> None:
    """Judge a dataset as it would be. `total`: the files in the sources.

    Raises:
        DatasetRefusedError: it is not to be used.
    """
    quarantined = len(found.quarantine.files)
    if quarantined > max_quarantined_share * total:
        raise DatasetRefusedError(
            f"{quarantined} of {total} files cannot be used, more than the {max_quarantined_share:.0%} "
            f"allowed, such as {found.quarantine.files[0].path!r}, most often because "
            f"{found.quarantine.commonest_reason}; see {found.quarantine.list_file}"
        )
    for domain in domains_of(found.splits):
        _check_domain(found, domain)
    num_images = sum(found.splits.values())
    if num_images < expect.min_images:
        raise DatasetRefusedError(
            f"there are {num_images:,} images, and the config expects {expect.min_images:,}; "
            "add images or lower `dataset.expect.min_images`"
        )
    for label in expect.labels or sorted(label for label in found.labels if label is not None):
        if found.labels[label] < max(expect.min_per_label, 1):
            raise DatasetRefusedError(
                f"the label {label!r} has {found.labels[label]} images, and the config expects "
                f"{max(expect.min_per_label, 1)}; add images of it or change `dataset.expect`"
            )


def check_drift(found: Drift | None, allowed: DriftLimits) -> None:
    """Judge how far the images that are added are from those that were there.

    Raises:
        DatasetRefusedError: too far, in something that the config limits.
    """
    for name, value in found.as_dict().items() if found else ():
        limit = getattr(allowed, name)
        if limit is not None and value > limit:
            raise DatasetRefusedError(
                f"the new images differ from those before: {name} by {value:.2f}, and {limit:g} is allowed; "
                f"look at them, and raise `dataset.max_drift.{name}` if they are right"
            )


def check_shrink(num_images: int, num_before: int, allowed: float) -> None:
    """Judge how many images a dataset has lost since its last version, which had `num_before`.

    Raises:
        DatasetRefusedError: a greater share than is allowed.
    """
    if num_images < (1 - allowed) * num_before:
        raise DatasetRefusedError(
            f"there are {num_images:,} images, and the last version had {num_before:,}: more than {allowed:.0%} "
            "are gone; find out where they are, or raise `dataset.max_shrink` if that is right (1 allows all)"
        )


def _check_domain(found: IngestSession, domain: str | None) -> None:
    """Judge one domain: a recipe may be trained on it alone, so that it has to make a dataset of its own."""
    of = f" of the domain '{domain}'" if domain else ""
    images = found.splits[domain, "train"] + found.splits[domain, "evaluation"]
    if 0 < found.unlabeled[domain] < images:
        raise DatasetRefusedError(
            f"{found.unlabeled[domain]} of {images} images{of} have no label; put all images into sub-folders, or none"
        )
    for split in ("train", "evaluation"):
        if not found.splits[domain, split]:
            raise DatasetRefusedError(
                f"the {split} split{of} is empty: {images} images are too few for evaluation_share "
                f"{found.evaluation_share}; add images or change the share"
                + (", or let the source have `split_by: tile`" if found.tiled else "")
            )
