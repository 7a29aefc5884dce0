"""What can be known of a run before its first step: whether its data suffice to measure what it will have trained."""

import numpy as np

from gan_models.config import EvaluateConfig, TrainConfig
from gan_models.config.evaluate import MIN_IMAGES
from gan_models.data.shards import DataError
from gan_models.data.split_index import Listing


def check_enough_data(
    training: list[Listing], evaluation: list[Listing], config: TrainConfig, evaluate: EvaluateConfig
) -> None:
    """Refuse data that an evaluation of the trained model would call too few, hours later.

    Args:
        training: what the recipe takes of the training split, and `evaluation` what it takes of the other.
        evaluation: see there.
        config: of the run.
        evaluate: how its model will be measured.

    Raises:
        DataError: there are too few; the message says of what, and what to do.
    """
    task, size = config.recipe.task, config.image.size
    # Of a style bank's paintings, those of training are what styles are measured by.
    measured = evaluation[:1] if task == "stylize" else evaluation
    for listing, domain in zip(measured, config.recipe.domains, strict=False):
        of = f" of the domain '{domain}'" if domain else ""
        _refuse_few(f"evaluation images{of}", _num_windows(listing, size), "raise dataset.evaluation_share")
    if task == "generate":
        _refuse_few("training images", len(training[0]), "lower dataset.evaluation_share")
        if config.recipe.uses_labels and evaluation[0].label_names:
            _refuse_lone_labels(evaluation[0], evaluate.num_images)


def _refuse_few(what: str, found: int, remedy: str) -> None:
    if found < MIN_IMAGES:
        raise DataError(
            f"there are {found} {what}, and the model could not be measured on fewer than {MIN_IMAGES}: nothing was "
            f"trained; add images or {remedy}"
        )


def _refuse_lone_labels(listing: Listing, num_images: int) -> None:
    """Diversity is that within a label: one label at least needs two images, on the model's side too."""
    labels = listing.labels
    assert labels is not None, "it is asked of listings with labels"
    num_labels, most = len(np.unique(labels)), int(np.bincount(labels).max())
    if most < 2:
        raise DataError(
            f"each of the {num_labels} labels has one evaluation image, and two of a label are needed to measure "
            "diversity: nothing was trained; add images, or set train.recipe.conditional to false"
        )
    if num_images <= num_labels and num_images * most < 2 * len(listing):
        raise DataError(
            f"evaluate.num_images is {num_images}, one image at most of each of {num_labels} labels, and two are "
            f"needed to measure diversity: nothing was trained; raise it to {2 * num_labels} or more"
        )


def _num_windows(listing: Listing, size: int) -> int:
    """How many images of the model's size an evaluation cuts out of a listing."""
    _, height, width = listing.shape
    return len(listing) * (height // size) * (width // size)
