"""Where a run's decoded images live: on the device, in memory, or in a mapped file."""

from pathlib import Path
from typing import Literal, NamedTuple

import torch

from gan_models.config import EvaluateConfig, SpeedConfig, TrainConfig
from gan_models.data.image_set import ImageSet, TrainingData, list_training_data, load
from gan_models.data.masks import count_values, refuse_unknown_values, refuse_unseen_classes
from gan_models.data.pixel_cache import load_mapped
from gan_models.data.split_index import Listing, Progress
from gan_models.training.preflight import check_enough_data

Place = Literal["device", "memory", "mapped"]

DEVICE_SHARE = 0.4  # Images may take this share of a GPU's free memory.
NUM_PREVIEW_IMAGES = 8  # Training needs so many images of the evaluation split.
GIB = 1 << 30


class LoadedData(NamedTuple):
    """What a run trains on, what its pictures are made from, where the former is to live, and what a person is told."""

    training: TrainingData
    previews: TrainingData
    place: Place
    notes: tuple[str, ...] = ()


def place_for(num_bytes: int, speed: SpeedConfig, device: torch.device, num_processes: int = 1) -> Place:
    """Return where `num_bytes` of decoded images go. On a CPU, the device's memory is the memory.

    Several processes on a CPU map one file, so that they do not hold a copy each.
    """
    on_gpu = device.type == "cuda"
    if speed.data != "auto":
        return "memory" if speed.data == "device" and not on_gpu else speed.data
    if on_gpu and num_bytes <= DEVICE_SHARE * torch.cuda.mem_get_info(device)[0]:
        return "device"
    return "memory" if num_bytes <= speed.memory_limit * GIB and num_processes == 1 else "mapped"


def load_data(
    directory: Path,
    config: TrainConfig,
    device: torch.device,
    cache: Path,
    num_processes: int = 1,
    progress: Progress | None = None,
    evaluate: EvaluateConfig | None = None,
) -> LoadedData:
    """Load the images of a dataset that `config` trains on, decoded or found decoded in `cache`.

    Args:
        directory: of the dataset's shards.
        config: of the run.
        device: that it trains on.
        cache: directory of decoded images.
        num_processes: that train together.
        progress: is told how many images are decoded.
        evaluate: how the trained model will be measured, where that is known.

    Raises:
        DataError: the dataset is damaged, does not fit the config, such as masks with values that it does not name, or
            is too small for a model to be measured on.
    """
    listings = list_training_data(directory, "train", config)
    needed = NUM_PREVIEW_IMAGES if evaluate is None else None
    evaluation = list_training_data(directory, "evaluation", config, limit=needed)
    if evaluate is not None:
        check_enough_data(listings, evaluation, config, evaluate)
    place = place_for(sum(listing.num_bytes for listing in listings), config.speed, device, num_processes)

    def loaded(listing: Listing) -> ImageSet:
        # On their way to a GPU, images that are too many for the memory pass through a mapped file.
        is_large = listing.num_bytes > config.speed.memory_limit * GIB
        if place == "mapped" or (place == "device" and is_large):
            return load_mapped(listing, cache, progress)
        return load(listing, progress)

    first = [listing.part(range(min(NUM_PREVIEW_IMAGES, len(listing)))) for listing in evaluation]
    is_paired = config.recipe.paired_domains is not None
    training = TrainingData(*map(loaded, listings), is_paired=is_paired)
    classes = config.recipe.mask_classes
    if classes and training.targets:
        counts = count_values(training.targets.images)
        refuse_unseen_classes(counts, classes, f"the training masks in {directory}")
        # Those of evaluation too: to be told after the training would be too late.
        counts += count_values(loaded(list_training_data(directory, "evaluation", config)[1]).images)
        refuse_unknown_values(counts, classes, f"the masks in {directory}")
    previews = TrainingData(*map(load, first), is_paired=is_paired)
    notes = tuple(dict.fromkeys(told for listing in listings if (told := listing.fit_in_words)))
    return LoadedData(training, previews, place, notes)
