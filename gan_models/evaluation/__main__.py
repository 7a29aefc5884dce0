"""`python -m gan_models.evaluation`: judge a bundle on the evaluation split of a dataset.

Exit status: 0 done; 2 the bundle, the data or the config cannot be used, with one line on stderr that says why.
"""

import argparse
import sys
from pathlib import Path

from gan_models.bundles.description import read_description
from gan_models.config import Task, TrainConfig, read_evaluate_config, read_yaml, validate
from gan_models.errors import AtelierError, is_mendable
from gan_models.escaping import for_terminal
from gan_models.evaluation.errors import EvaluationError
from gan_models.evaluation.slices import left_out_lines
from gan_models.text import one_line


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m gan_models.evaluation", description=__doc__)
    parser.add_argument("--bundle", type=Path, required=True, help="directory of the trained model")
    parser.add_argument("--data", type=Path, required=True, help="directory of the dataset's shards")
    parser.add_argument("--config", type=Path, required=True, help="a file such as configs/digits-generator.yaml")
    parser.add_argument("--out", type=Path, required=True, help="directory for evaluation.json and the pictures")
    parser.add_argument("--cache", type=Path, help="directory in which features of real images are kept")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    options = parser.parse_args(arguments)
    try:
        config = read_evaluate_config(options.config)
        description = read_description(options.bundle)
        _refuse_other_task(description.task, options.config)
    except AtelierError as error:
        return _refuse(error)
    # PyTorch takes seconds to import, and a mistake in the config should not wait for it.
    from gan_models.data.shards import DataError
    from gan_models.evaluation.run import evaluate_to

    try:
        result = evaluate_to(
            options.out, options.bundle, options.data, config, cache=options.cache, device=options.device
        )
    except DataError as error:
        image = description.image
        takes = f"{image.size}x{image.size}x{image.channels} images ({image.fit})"
        return _refuse(DataError(f"the model takes {takes}, and this data cannot give them: {error}"))
    except (AtelierError, OSError) as error:
        if not is_mendable(error):
            raise
        return _refuse(error)
    width = max(len(metric.key) for metric in result.metrics)
    for metric in result.metrics:
        baseline = "" if metric.baseline is None else f"   {metric.baseline_name}: {metric.baseline:.4g}"
        print(
            f"{for_terminal(metric.key):{width}}  {metric.value:9.4g}  [{metric.low:.4g}, {metric.high:.4g}]{baseline}"
        )
    for line in left_out_lines(result.left_out):
        print(f"not measured: {for_terminal(line)}")
    return 0


def _refuse_other_task(found: Task, config: Path) -> None:
    """Refuse a config file that trains models of another task: other metrics and other rules are of that."""
    trains = read_yaml(config).get("train")
    if trains is None:
        return
    asked = validate(TrainConfig, trains, f"{config}, section train").recipe.task
    if found != asked:
        raise EvaluationError(
            f"the bundle is of a model to {found} images, and this config of one to {asked}; "
            "evaluate it with a config of its own task"
        )


def _refuse(error: Exception) -> int:
    print(f"error: {for_terminal(one_line(error))}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
