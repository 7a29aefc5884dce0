"""What a bundle says of itself is read by the platform, which does not wait for PyTorch."""

import hashlib
import json
import subprocess
import sys

import pytest

from gan_models.bundles.description import BundleError, is_bundle, read_description, read_digest

CONTENT = {
    "recipe": {"name": "cyclegan"},
    "image": {"size": 32},
    "label_names": [],
    "num_steps": 7,
    "config_digest": "c",
    "data_digest": "d",
    "torch_version": "2",
    "weights_sha256": "w",
}


@pytest.fixture
def bundle(tmp_path):
    (tmp_path / "bundle.json").write_text(json.dumps(CONTENT))
    return tmp_path


def test_a_description_tells_recipe_task_and_steps_without_the_weights(bundle):
    description = read_description(bundle)
    assert (description.recipe.name, description.task, description.num_steps) == ("cyclegan", "translate", 7)
    assert read_digest(bundle) == hashlib.sha256((bundle / "bundle.json").read_bytes()).hexdigest()
    assert is_bundle(bundle)


def test_what_is_no_bundle_is_refused_with_the_reason(tmp_path):
    assert not is_bundle(tmp_path)
    for read in (read_description, read_digest):
        with pytest.raises(BundleError, match=r"bundle\.json cannot be read"):
            read(tmp_path)
    for content, reason in (("{", "is not JSON"), ("[" * 100_000, "is not JSON"), ("{}", "recipe: Field required")):
        (tmp_path / "bundle.json").write_text(content)
        with pytest.raises(BundleError, match=reason):
            read_description(tmp_path)


def test_the_platform_reads_bundles_and_tasks_without_importing_torch():
    modules = "gan_models.bundles.description, gan_models.tasks, flows.lookup.evaluation_target"
    code = f"import sys, {modules}; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"
