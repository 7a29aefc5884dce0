"""What makes a run the run it is: all that decides its result, and nothing else."""

import hashlib
import json
from pathlib import Path
from typing import Any

from gan_models.bundles.description import read_digest
from gan_models.config import TrainConfig

# Where it runs and where its images live change nothing of the batches.
IRRELEVANT: dict[str, Any] = {"device": True, "speed": {"data", "memory_limit"}}


def identity(config: TrainConfig) -> dict[str, Any]:
    """Return the config, JSON-like, without what does not matter, with the digest of the bundle that it begins from.

    Raises:
        BundleError: there is no bundle at `init_from`.
    """
    content = config.model_dump(mode="json", exclude=IRRELEVANT)
    if config.init_from:
        content["init_from"] = read_digest(Path(config.init_from))
    return content


def config_digest(config: TrainConfig) -> str:
    """Return SHA-256 of `identity`.

    Raises:
        BundleError: as for `identity`.
    """
    return hashlib.sha256(json.dumps(identity(config), sort_keys=True).encode()).hexdigest()
