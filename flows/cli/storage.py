"""`atelier storage`: where dataset versions are sent, which DVC calls the remote."""

from typing import Annotated

import typer

from flows.config.settings import Settings

app = typer.Typer(help="Say where dataset versions are sent, or send them elsewhere.", no_args_is_help=True)

_WHERE = {"new": "here, not in the remote", "deleted": "in the remote, not here", "missing": "neither here nor there"}


@app.command("set")
def set_to(
    url: Annotated[str, typer.Argument(help="s3://bucket/prefix, or a folder")],
    endpoint_url: Annotated[str | None, typer.Option(help="of S3-compatible storage that is not Amazon's")] = None,
) -> None:
    """Send versions to S3 from now on, or to a folder. Credentials come from AWS_* or a profile; none is written."""
    from flows.datasets.dvc_remote import send_tracked, set_remote
    from flows.datasets.remote_mark import mark
    from flows.runtime.progress import echo

    settings = Settings()
    settings.apply()
    remote = set_remote(settings, url, endpoint_url)
    mark(settings, remote)
    echo(f"storage   {remote.name}, {remote.url}, in .dvc/config; commit that file for the others")
    echo(f"storage   versions in use: {send_tracked(settings)}")


@app.command()
def show() -> None:
    """Say where versions are sent, whether it works, and whether it has the versions in use."""
    from flows.datasets.dvc_remote import check_remote, credentials_from, default_remote, not_in_remote
    from flows.runtime.progress import echo

    settings = Settings()
    settings.apply()
    remote = default_remote(settings)
    echo(f"storage      {remote.name}, {remote.url}" + (f" at {remote.endpoint}" if remote.endpoint else ""))
    if remote.is_s3:
        echo(f"credentials  from {credentials_from()}")
    echo(f"works        {check_remote(settings)}")
    lacking = not_in_remote(settings)
    echo(
        "versions     those in use are there" if not lacking else f"versions     {len(lacking)} files differ: {lacking}"
    )
