"""`atelier dataset`: the stage by a config alone, and what tells of its versions or takes images out of them."""

from collections.abc import Iterable
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from flows.cli.stage_runner import Config, run_stage
from flows.config.settings import Settings
from gan_models.escaping import for_terminal
from gan_models.text import nearest

if TYPE_CHECKING:
    from flows.config.dataset_section import DatasetConfig
    from flows.datasets.history import Difference, Version
    from flows.tracking.runs import Tracking

SHOWN = 20  # lines of a list; the rest is counted


class StageOrCommand(TyperGroup):
    """`atelier dataset configs/x.yaml` is the stage: what is not the name of a command is the config to build."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401
        """Read `args`, the command line without `atelier dataset`, as a command or as a config to build."""
        known = [*self.commands]
        first = args[0] if args else "--help"
        is_config = first not in known and not first.startswith("-") and not nearest(first, known)
        return super().parse_args(ctx, ["build", *args] if is_config else args)


app = typer.Typer(
    cls=StageOrCommand,
    help="Build, validate and version the dataset of a config, and look at its versions.",
    no_args_is_help=True,
    options_metavar="",
    subcommand_metavar="<config> | COMMAND <config>",
)


@app.command()
def build(config: Config) -> None:
    """Build, validate and version the dataset: what `atelier dataset <config>` does."""
    run_stage("dataset", config)


@app.command()
def log(config: Config) -> None:
    """List the versions of a dataset, the newest first: when, how many images, why, and where git has it."""
    from rich.table import Table
    from rich.text import Text

    from flows.datasets.history import versions
    from flows.runtime.progress import console, print_plain

    settings, dataset, tracking = _enter(config)
    known = versions(settings, tracking, dataset.name)
    if not known:
        print_plain(f"'{dataset.name}' has no versions yet; make one with `atelier dataset {quote(str(config))}`")
        return
    table = Table("version", "made (UTC)", "training", "evaluation", "what changed", "git", box=None)
    for before, version in reversed(list(zip([None, *known], known, strict=False))):
        record = version.record
        counts = [f"{record.num_train:,}", f"{record.num_evaluation:,}"] if record else ["?", "?"]
        star = " *" if version.in_use else ""
        commit = version.commit[:7] if version.commit else "not committed"
        when = f"{version.when:%Y-%m-%d %H:%M}"
        table.add_row(version.short + star, when, *counts, Text(for_terminal(_what_changed(before, version))), commit)
    console.print(table)
    console.print("* in use; compare two with `atelier dataset diff`, the newest two without naming them")


@app.command()
def diff(
    config: Config,
    before: Annotated[str | None, typer.Argument(help="a version; without it the one before the other")] = None,
    after: Annotated[str | None, typer.Argument(help="a version; without it the one in use")] = None,
) -> None:
    """Say what changed from one version to another: images, labels, shards, bytes."""
    from flows.datasets.errors import VersioningError
    from flows.datasets.history import choose, compare, versions
    from flows.runtime.progress import print_plain

    settings, dataset, tracking = _enter(config)
    known = versions(settings, tracking, dataset.name)
    newer = choose(known, dataset.name, after)
    if before is None and known.index(newer) == 0:
        raise VersioningError(f"{newer.short} is the first version of '{dataset.name}'; there is nothing before it")
    older = choose(known, dataset.name, before) if before else known[known.index(newer) - 1]
    for line in difference_in_words(settings, dataset.name, compare(settings, dataset.name, older, newer)):
        print_plain(line)


@app.command()
def show(
    config: Config,
    version: Annotated[str | None, typer.Argument(help="the beginning of its MD5; without it the one in use")] = None,
) -> None:
    """Say what a version holds and where it is, and put it into a folder of its own."""
    from flows.datasets.history import choose, versions
    from flows.datasets.versions import materialize
    from flows.datasets.withdrawals import withdrawals
    from flows.runtime.progress import print_plain
    from gan_models.data.shards import statistics

    settings, dataset, tracking = _enter(config)
    chosen = choose(versions(settings, tracking, dataset.name), dataset.name, version)
    folder = materialize(settings, dataset.name, chosen.md5)
    found = statistics(folder)
    record = chosen.record
    lines = [
        f"{dataset.name}, version {chosen.md5}, made {chosen.when:%Y-%m-%d %H:%M} UTC" + ", in use" * chosen.in_use,
        f"images     {found.num_images:,}: " + ", ".join(f"{count:,} {name}" for name, count in found.splits.items()),
        f"sizes      {found.min_width}x{found.min_height} to {found.max_width}x{found.max_height} pixels",
        f"shards     {found.num_shards}, {_size(found.num_bytes)}",
        *(f"labels     {split}: {_counts(found.labels[split])}" for split in found.labels if found.labels[split]),
        f"withdrawn  {len(withdrawals(settings, dataset.name)):,} images, by data/{dataset.name}.withdrawn.csv",
        f"git        {f'commit {chosen.commit}' if chosen.commit else 'not committed'}",
        f"MLflow     {f'run {record.run_id}' if record else 'no run known here'}",
        f"folder     {folder}",
    ]
    for line in lines:
        print_plain(line)


@app.command()
def remove(
    config: Config,
    reason: Annotated[str, typer.Option(help="why, in a sentence; it is kept")],
    id: Annotated[list[str] | None, typer.Option(help="of an image, or its beginning; may be repeated")] = None,
    source: Annotated[list[str] | None, typer.Option(help="where images came from; takes out all tiles")] = None,
    who: Annotated[str | None, typer.Option(help="who decides; without it, whom git knows")] = None,
) -> None:
    """Take images out, for a withdrawal request for instance: a new version without them, and they never come back."""
    from flows.datasets.removal import remove_from_dataset
    from flows.datasets.withdrawals import RemovalError

    if not id and not source:
        raise RemovalError("say which images: --id with an image's id, or --source with where it came from")
    settings, dataset, tracking = _enter(config)
    remove_from_dataset(settings, tracking, dataset, ids=id or [], sources=source or [], reason=reason, who=who)


@app.command()
def readmit(
    config: Config,
    reason: Annotated[str, typer.Option(help="why, in a sentence; it is kept")],
    id: Annotated[list[str] | None, typer.Option(help="of an image, or its beginning; may be repeated")] = None,
    source: Annotated[list[str] | None, typer.Option(help="where images came from; all tiles of it")] = None,
    who: Annotated[str | None, typer.Option(help="who decides; without it, whom git knows")] = None,
) -> None:
    """Take withdrawn images in again, from their sources, with the next version."""
    from flows.datasets.removal import readmit as take_in
    from flows.datasets.withdrawals import RemovalError

    if not id and not source:
        raise RemovalError("say which images: --id with an image's id, or --source with where it came from")
    settings, dataset, tracking = _enter(config)
    take_in(settings, tracking, dataset, ids=id or [], sources=source or [], reason=reason, who=who)


def difference_in_words(settings: Settings, name: str, found: "Difference") -> list[str]:
    """Return what `atelier dataset diff` prints."""
    from flows.datasets.withdrawals import withdrawals
    from gan_models.data.shards import natural_order

    listed = withdrawals(settings, name)
    before, after = found.counts
    lines = [
        f"{name} {found.before.short} -> {found.after.short}",
        f"images      {before.total():,} -> {after.total():,}: "
        f"{len(found.added):,} added, {len(found.removed):,} removed",
        *(f"{split:<11} {before[split]:,} -> {after[split]:,}" for split in ("train", "evaluation")),
    ]
    names = natural_order([*found.labels[0], *found.labels[1]])
    changed = [label for label in names if found.labels[0][label] != found.labels[1][label]]
    lines += _some(f"label {label!r}: {found.labels[0][label]:,} -> {found.labels[1][label]:,}" for label in changed)
    lines += _some(
        f"removed     {key[:12]} {row['source']}"
        + (f", withdrawn by {listed[key].who} at {listed[key].when}: {listed[key].reason}" if key in listed else "")
        for key, row in found.removed.items()
    )
    if found.moved:
        lines.append(f"MOVED       {len(found.moved):,} images between the splits: the share of evaluation was changed")
    if found.relabeled:
        lines.append(f"relabeled   {len(found.relabeled):,} images")
    share = found.new_bytes / found.total_bytes
    lines.append(
        f"shards      {len(found.kept_shards)} kept, {len(found.new_shards)} new, {len(found.gone_shards)} gone; "
        f"{_size(found.new_bytes)} of {_size(found.total_bytes)} are new ({share:.1%})"
    )
    return lines


def _what_changed(before: "Version | None", version: "Version") -> str:
    if version.change:
        return version.change
    if before is None:
        return "the first"
    if before.record is None or version.record is None:
        return ""
    totals = [record.num_train + record.num_evaluation for record in (before.record, version.record)]
    return f"{totals[1] - totals[0]:+,} images"


def _some(lines: Iterable[str]) -> list[str]:
    all_lines = list(lines)
    rest = len(all_lines) - SHOWN
    return all_lines[:SHOWN] + ([f"            and {rest:,} more"] if rest > 0 else [])


def _counts(labels: dict[str, int]) -> str:
    shown = [f"{name} {count:,}" for name, count in list(labels.items())[:SHOWN]]
    return ", ".join(shown) + (f" and {len(labels) - SHOWN} more labels" if len(labels) > SHOWN else "")


def _size(num_bytes: int) -> str:
    return f"{num_bytes / 1e6:,.1f} MB" if num_bytes >= 100_000 else f"{num_bytes:,} bytes"


def _enter(config: Path) -> "tuple[Settings, DatasetConfig, Tracking]":
    from flows.config.model_config import read_model_config
    from flows.tracking.runs import Tracking

    settings = Settings()
    settings.apply()
    dataset = read_model_config(config.resolve()).dataset
    tracking = Tracking(settings)
    tracking.check()
    return settings, dataset, tracking
