"""What a run would be, without running it: `--dry-run`."""

from pathlib import Path

import torch
import yaml

from gan_models.config import EvaluateConfig, TrainConfig
from gan_models.data.image_set import list_training_data
from gan_models.recipes import build_recipe
from gan_models.training.memory import bytes_of_activations, bytes_of_weights
from gan_models.training.placement import place_for
from gan_models.training.preflight import check_enough_data

PLACES = {"device": "the GPU's memory", "memory": "memory", "mapped": "a memory-mapped file in the cache"}


def describe(
    config: TrainConfig,
    data: Path,
    device: torch.device,
    num_processes: int = 1,
    evaluate: EvaluateConfig | None = None,
) -> str:
    """Describe the config with all defaults, parameters, data and memory of a run. Nothing is written.

    Raises:
        DataError: as training would.
    """
    listings = list_training_data(data, "train", config)
    if evaluate is not None:
        check_enough_data(listings, list_training_data(data, "evaluation", config), config, evaluate)
    num_labels = len(listings[-1].label_names)
    recipe = build_recipe(config, num_labels)  # It is built on the CPU, whatever the run's device.
    needs = bytes_of_weights(recipe.networks, set(recipe.optimizers))
    needs["activations"] = bytes_of_activations(recipe, config, num_labels) // num_processes
    num_bytes = sum(listing.num_bytes for listing in listings)
    place = place_for(num_bytes, config.speed, device, num_processes)
    if place == "device":
        needs["images"] = num_bytes
    lines = [yaml.safe_dump({"train": config.model_dump(mode="json")}, sort_keys=False)]
    lines += ["parameters"]
    for name, network in recipe.networks.items():
        lines.append(f"  {name:<16} {sum(p.numel() for p in network.parameters()):>14,}")
    lines += ["", "data"]
    for name, listing in zip(("images", "targets"), listings, strict=False):
        shape = "x".join(map(str, listing.shape))
        lines.append(f"  {name:<16} {len(listing):>14,} of {shape}, {_amount(listing.num_bytes)} decoded")
    lines += [f"  {told}" for listing in listings if (told := listing.fit_in_words)]
    lines.append(f"  {'labels':<16} {num_labels:>14,}")
    lines.append(f"  live in          {PLACES[place]}")
    lines += ["", f"memory on the {'GPU' if device.type == 'cuda' else 'CPU'}, of each process"]
    lines += [f"  {name:<16} {_amount(size):>14}" for name, size in needs.items()]
    lines.append(f"  {'together':<16} {_amount(sum(needs.values())):>14}")
    lines += [
        "",
        "Weights, gradients, optimizers and moving average are exact. Activations were measured in one step on a few",
        "images on the CPU, in float32, and scaled to the batch; bfloat16 takes about half. The workspace of",
        "convolutions and PyTorch itself come on top.",
    ]
    return "\n".join(lines)


def _amount(num_bytes: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if num_bytes < 1024:
            return f"{num_bytes:,.1f} {unit}"
        num_bytes /= 1024
    return f"{num_bytes:,.1f} GiB"
