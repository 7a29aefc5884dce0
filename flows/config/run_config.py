"""The config that the process of a run reads: what a person wrote, whole, wherever it is read from."""

from pathlib import Path

import yaml

from flows.config.model_config import ModelConfig


def write_run_config(model: ModelConfig, file: Path, root: Path) -> None:
    """Write a config to the file of a run, so that reading it gives the same config.

    Nulls are written too, since a null can differ from what a key means when it is left out.

    Args:
        model: the config.
        file: in the folder of the run.
        root: of the project: read from the run's folder, the config has to name files by their whole paths.
    """
    content = model.model_dump(mode="json")
    content["dataset"]["license"] = model.dataset.license  # which fingerprints leave out, and so does a dump
    evaluate = model.evaluate
    if evaluate.unseen_style is not None:
        content["evaluate"]["unseen_style"] = str(root / evaluate.unseen_style)
    if evaluate.extractor.weights is not None:
        content["evaluate"]["extractor"]["weights"] = str(root / evaluate.extractor.weights)
    file.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")
