"""Runs git: which commit is checked out, how files differ from it, and commits of data where a worker may make them.

What the platform writes itself (`data.dvc`, `data/`, `.dvc/`) is no difference: a version of a dataset says nothing of
the code that made it.
"""

import difflib
import os
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from flows.config.settings import Settings
from flows.datasets.errors import VersioningError
from flows.datasets.secrets import is_secret_file, without_secrets
from gan_models.text import one_line

TIMEOUT_SECONDS = 60
MAX_DIFFERENCE = 1 << 20  # characters that are kept
_OURS = ("data.dvc", "data", ".dvc")
_CODE = (".", *(f":(exclude){path}" for path in _OURS))
_UNTRACKED_CODE = tuple(
    f"{folder}/*.{kind}" for folder in ("flows", "gan_models", "configs") for kind in ("py", "yaml")
)
# Only for commits where nobody told git who they are.
_IDENTITY = ("-c", "user.name=Atelier", "-c", "user.email=atelier@localhost")


def git(arguments: Sequence[str], settings: Settings) -> str:
    """Return what `git` prints.

    Raises:
        VersioningError: it failed, or is not installed; the message has git's own reason.
    """
    return _run(arguments, settings).decode(errors="replace").strip()


def is_in_git(settings: Settings) -> bool:
    """Return whether git works here: not in a container the project was copied into, nor where git is not installed."""
    try:
        git(["rev-parse", "--git-dir"], settings)
    except VersioningError:
        return False
    return True


def checked_out(settings: Settings) -> str:
    """Return the commit that is checked out, with `-dirty` where code or configs differ from it.

    Raises:
        VersioningError: there is none, or git refuses; the message has git's own reason.
    """
    commit = git(["rev-parse", "--verify", "HEAD"], settings)
    return commit + ("-dirty" if _changed(settings) or _untracked(settings) else "")


def difference(settings: Settings) -> str:
    """Return how code and configs differ from the commit, as a patch: what is changed, and what git does not know yet.

    Files whose names speak of secrets are named at its head and left out, as is what exceeds `MAX_DIFFERENCE`.

    Raises:
        VersioningError: there is no commit, or git refuses.
    """
    changed, untracked = _changed(settings), _untracked(settings)
    secret = sorted(filter(is_secret_file, [*changed, *untracked]))
    command = ["diff", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames", "HEAD", "--", *_CODE]
    head = "".join(f"# left out because of its name: {path}\n" for path in secret)
    body = _run([*command, *(f":(exclude,literal){path}" for path in secret)], settings).decode(errors="replace")
    new = [_as_new_file(path, settings.root / path) for path in untracked if path not in secret]
    text = without_secrets(head + body + "".join(new))
    if len(text) > MAX_DIFFERENCE:
        text = text[:MAX_DIFFERENCE] + f"\n# cut off: the whole has {len(text):,} characters\n"
    return text


def commit_files(settings: Settings, paths: Sequence[str], message: str) -> None:
    """Commit those of some files that exist, if they changed: only these, whatever else is staged.

    Raises:
        VersioningError: the project is not in git, or git refuses.
    """
    files = [path for path in paths if (settings.root / path).exists()]
    git(["add", "--", *files], settings)
    if git(["status", "--porcelain", "--", *files], settings):
        who = () if _knows_who(settings) else _IDENTITY
        git([*who, "commit", "--quiet", "-m", message, "--", *files], settings)


def commits_of(settings: Settings, path: str) -> Iterator[tuple[str, str, str]]:
    """Yield commit, time and content of a file wherever it changed, the oldest first; nothing outside git."""
    try:
        log = git(["log", "--reverse", "--format=%H %cI", "--", path], settings).splitlines()
        commits = [(commit, when) for commit, _, when in (line.partition(" ") for line in log)]
        asked = "".join(f"{commit}:./{path}\n" for commit, _ in commits)
        answer = _run(["cat-file", "--batch"], settings, asked.encode()) if commits else b""
    except VersioningError:
        return
    for commit, when in commits:
        head, _, answer = answer.partition(b"\n")
        if head.endswith(b" missing"):  # it was deleted there
            continue
        size = int(head.split()[-1])
        yield commit, when, answer[:size].decode(errors="replace")
        answer = answer[size + 1 :]


def current_person(settings: Settings) -> str | None:
    """Return name and address as git knows them; None where it does not."""
    try:
        return f"{git(['config', 'user.name'], settings)} <{git(['config', 'user.email'], settings)}>"
    except VersioningError:
        return None


def _run(arguments: Sequence[str], settings: Settings, entered: bytes | None = None) -> bytes:
    command = ["git", *arguments]
    try:
        done = subprocess.run(
            command,
            cwd=settings.root,
            env={**os.environ, "GIT_TERMINAL_PROMPT": "0"},  # a worker has nobody to ask for a password
            input=entered,
            capture_output=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise VersioningError(f"git cannot be run: {error}") from None
    if done.returncode:
        said = one_line(done.stderr.decode(errors="replace")) or f"exit code {done.returncode}"
        raise VersioningError(f"`{shlex.join(command)}` failed: {said}")
    return done.stdout


def _changed(settings: Settings) -> list[str]:
    return _paths(_run(["diff", "--name-only", "--no-renames", "--relative", "-z", "HEAD", "--", *_CODE], settings))


def _untracked(settings: Settings) -> list[str]:
    return _paths(_run(["ls-files", "--others", "--exclude-standard", "-z", "--", *_UNTRACKED_CODE], settings))


def _paths(answer: bytes) -> list[str]:
    return [path.decode(errors="surrogateescape") for path in answer.split(b"\0") if path]


def _as_new_file(path: str, file: Path) -> str:
    lines = file.read_text(errors="replace").splitlines()
    added = difflib.unified_diff([], lines, "/dev/null", f"b/{path}", lineterm="")
    return "".join(f"{line}\n" for line in [f"diff --git a/{path} b/{path}", "new file mode 100644", *added])


def _knows_who(settings: Settings) -> bool:
    try:
        return bool(git(["config", "user.email"], settings))
    except VersioningError:
        return False
