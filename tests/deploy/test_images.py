"""The Dockerfile, as far as it can be judged without building it."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "deploy" / "Dockerfile"


def test_hadolint_has_nothing_to_say():
    done = subprocess.run([Path(sys.executable).parent / "hadolint", DOCKERFILE], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_containers_do_not_run_as_root():
    users = re.findall(r"^USER (.+)$", DOCKERFILE.read_text(), re.MULTILINE)
    assert users
    assert users[-1] not in ("root", "0")


def test_the_cpu_image_leaves_out_exactly_pytorch_and_its_cuda_libraries(tmp_path):
    program = re.search(r"awk '(.+?)'", DOCKERFILE.read_text())
    assert program is not None
    lock = ROOT / "requirements.lock"
    kept = subprocess.run(["awk", program[1], lock], capture_output=True, text=True, check=True).stdout
    names = {line.split("==")[0] for line in lock.read_text().splitlines() if re.match(r"[a-z0-9]", line)}
    left_out = names - {line.split("==")[0] for line in kept.splitlines() if re.match(r"[a-z0-9]", line)}
    assert {"torch", "torchvision", "triton"} <= left_out
    assert all(name.startswith(("nvidia-", "cuda-")) for name in left_out - {"torch", "torchvision", "triton"})
    assert not {name for name in names - left_out if name.startswith(("nvidia-", "cuda-"))}


def test_secrets_never_enter_an_image():
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert "deploy/secrets/*" in ignored
    assert not re.search(r"^(ARG|ENV).*(PASSWORD|SECRET|TOKEN)", DOCKERFILE.read_text(), re.MULTILINE)


def test_an_image_names_no_versions_that_a_new_team_does_not_have_and_forgets_no_withdrawal():
    """Without the list an image that a person had taken out would come back from its source."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert lines.index("data/*") < lines.index("!data/*.withdrawn.csv")
    assert "!data/.gitignore" in lines
    assert "data.dvc" in lines


def test_git_keeps_the_lists_of_withdrawn_images_and_ignores_all_else_in_data():
    ignored = subprocess.run(
        ["git", "check-ignore", "--no-index", "data/pets/shard", "data/.pets.partial/x", "data/pets.withdrawn.csv"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert ignored.stdout.split() == ["data/pets/shard", "data/.pets.partial/x"]
