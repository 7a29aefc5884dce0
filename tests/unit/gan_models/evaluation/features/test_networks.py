"""Inception, and the networks of torchvision and timm, with weights from files: untrained ones, as digests tell."""

import http.server
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3, FeatureExtractorInceptionV3

from benchmarks.support.random_inception import write_random_inception
from gan_models.config import ConfigError, ExtractorConfig, read_evaluate_config
from gan_models.evaluation.errors import EvaluationError
from gan_models.evaluation.features import inception
from gan_models.evaluation.features.extractor import load_extractor
from gan_models.evaluation.metrics.catalog import METRICS
from tests.support.digests import digest_of
from tests.support.golden import noise_images, photographs, relative


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_inception(tmp_path_factory.mktemp("weights"))[0]


@pytest.fixture(scope="module")
def extractor(weights):
    return load_extractor(ExtractorConfig(name="inception", weights=weights, sha256=digest_of(weights)))


def test_inception_gives_the_features_and_logits_of_torch_fidelity(weights, extractor, record_property) -> None:
    images = torch.cat([photographs(48, 2)[1], noise_images(48, 2)[1]])
    theirs = FeatureExtractorInceptionV3("theirs", ["2048", "logits_unbiased"], str(weights))
    features, logits = (part.double().numpy() for part in theirs(images))
    ours = extractor.features(images)
    assert ours.shape == (4, extractor.dimension) == (4, 2048)
    assert features.std() > 0.01  # the weights leave something to compare
    difference = float(np.abs(ours - features).max() / np.abs(features).max())
    of_logits = float(np.abs(ours @ extractor.classifier.T - logits).max() / np.abs(logits).max())
    record_property("largest difference of features, relative to the largest", difference)
    record_property("largest difference of logits, relative to the largest", of_logits)
    assert difference < 2e-6  # float32, and another order of memory, which is faster
    assert of_logits < 2e-6


def test_inception_sees_gray_images_and_does_not_depend_on_the_batch(extractor) -> None:
    gray = noise_images(32, 3)[1][:, :1]
    whole = extractor.features(gray.expand(-1, 3, -1, -1))
    assert relative(1 + extractor.features(gray, batch_size=2), 1 + whole) < 1e-5


def test_only_the_original_weights_make_fid(weights, extractor) -> None:
    names = {family: extractor.metric(family) for family in ("fd", "kd", "is", "recall")}
    key = f"inception_{digest_of(weights)[:8]}"
    assert names == {"fd": f"fd_{key}", "kd": f"kd_{key}", "is": f"is_{key}", "recall": f"recall_{key}"}
    with pytest.raises(EvaluationError, match="does not hold the original Inception weights") as refused:
        load_extractor(ExtractorConfig(name="inception", weights=weights))
    assert URL_INCEPTION_V3 in str(refused.value)
    wrong = "0" * 64
    with pytest.raises(EvaluationError, match=f"the config says {wrong}"):
        load_extractor(ExtractorConfig(name="inception", weights=weights, sha256=wrong))


def test_the_original_weights_name_their_metrics_fid_kid_and_inception_score(weights, monkeypatch) -> None:
    monkeypatch.setattr(inception, "SHA256", digest_of(weights))
    original = load_extractor(ExtractorConfig(name="inception", weights=weights))
    names = [original.metric(family) for family in ("fd", "kd", "is", "recall")]
    assert names == ["fid", "kid", "inception_score", "recall_inception"]
    assert all(METRICS[name].higher_is_better is not None for name in names)


def test_weights_that_would_run_code_or_are_of_another_network_are_refused(tmp_path) -> None:
    class Runs:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    for content, message in ((Runs(), "cannot be read as weights"), ({"a": torch.ones(1)}, "cannot be used")):
        torch.save(content, tmp_path / "w.pth")
        config = ExtractorConfig(name="inception", weights=tmp_path / "w.pth", sha256=digest_of(tmp_path / "w.pth"))
        with pytest.raises(EvaluationError, match=message):
            load_extractor(config)
    assert not (tmp_path / "ran").exists()


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A web server of the folder `served`, which Inception's weights are said to be on, and an empty torch.hub."""
    (tmp_path / "served").mkdir()
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path / "served"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
        monkeypatch.setattr(inception, "URL_INCEPTION_V3", f"http://127.0.0.1:{server.server_port}/inception.pth")
        yield tmp_path / "served"
        server.shutdown()


def test_the_weights_are_downloaded_once(server, weights, monkeypatch) -> None:
    (server / "inception.pth").write_bytes(weights.read_bytes())
    monkeypatch.setattr(inception, "SHA256", digest_of(weights))
    assert load_extractor(ExtractorConfig(name="inception")).metric("fd") == "fid"
    (server / "inception.pth").unlink()
    assert load_extractor(ExtractorConfig(name="inception")).metric("fd") == "fid"


def test_a_download_of_something_else_is_refused_and_not_kept(server, tmp_path) -> None:
    (server / "inception.pth").write_bytes(b"<html>please log in</html>")
    with pytest.raises(EvaluationError, match="invalid hash value"):
        load_extractor(ExtractorConfig(name="inception"))
    assert not list((tmp_path / "hub" / "checkpoints").iterdir())


def test_offline_and_without_the_file_it_is_said_where_to_put_it(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(inception, "URL_INCEPTION_V3", "http://127.0.0.1:9/inception.pth")  # nobody listens there
    with pytest.raises(EvaluationError) as refused:
        load_extractor(ExtractorConfig(name="inception"))
    assert "refused" in str(refused.value)
    assert f"put http://127.0.0.1:9/inception.pth at {tmp_path / 'checkpoints' / 'inception.pth'}" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_network_of_torchvision_gives_what_its_classifier_would_see(tmp_path) -> None:
    from torchvision.models import resnet18

    torch.manual_seed(0)
    network = resnet18(weights=None).eval()
    torch.save(network.state_dict(), tmp_path / "w.pth")
    config = ExtractorConfig(name="torchvision/resnet18", weights=tmp_path / "w.pth", size=48)
    extractor = load_extractor(config)
    assert extractor.dimension == 512
    assert extractor.metric("kd") == "kd_torchvision_resnet18"
    assert METRICS["kd_torchvision_resnet18"].title == "Kernel distance (torchvision_resnet18)"
    images = photographs(48)[1]
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.no_grad():
        logits = network((images / 255 - mean) / std)
        own = network.fc(torch.from_numpy(extractor.features(images)).float())
    torch.testing.assert_close(own, logits, atol=1e-4, rtol=1e-4)


def test_a_network_of_timm_is_loaded_from_safetensors_whatever_it_was_to_classify(tmp_path) -> None:
    import timm

    torch.manual_seed(0)
    network = timm.create_model("resnet10t", pretrained=False, num_classes=7).eval()
    save_file(network.state_dict(), tmp_path / "w.safetensors")
    config = ExtractorConfig(name="timm/resnet10t", weights=tmp_path / "w.safetensors", size=64)
    extractor = load_extractor(config)
    assert extractor.features(photographs(64)[1], batch_size=3).shape == (4, 512) == (4, extractor.dimension)
    assert extractor.resize.startswith("bicubic antialias 64, mean 0.485 0.456 0.406, std 0.229")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "torchvision/resnet_18",
            "named 'resnet_18', did you mean 'torchvision/resnet18'",
        ),
        ("timm/resnet10", "did you mean 'timm/resnet1"),
        ("torchvision/squeezenet1_0", "has no linear classifier"),
        ("torchvision/resnet34", "cannot be used as the weights of torchvision/resnet34"),
    ],
)
def test_a_network_that_is_not_there_or_of_other_weights_is_refused(tmp_path, name, message) -> None:
    torch.save({"a": torch.ones(1)}, tmp_path / "w.pth")
    with pytest.raises(EvaluationError, match=message):
        load_extractor(ExtractorConfig(name=name, weights=tmp_path / "w.pth"))


def test_missing_files_are_named(tmp_path) -> None:
    with pytest.raises(EvaluationError, match=r"nowhere.pth cannot be read: No such file"):
        load_extractor(ExtractorConfig(name="timm/resnet10t", weights=tmp_path / "nowhere.pth"))


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("{name: inceptoin}", "did you mean 'inception'"),
        ("{name: torchvison/resnet18}", "did you mean 'torchvision/<network>'"),
        ("{name: timm/resnet18}", "needs weights"),
        ("{name: inception, size: 96}", "leave out size"),
        ("{weights: w.pth}", "come with a package"),
        ("{name: inception, sha256: abc}", "should match pattern"),
        ("{name: inception, weights: nowhere.pth}", "extractor.weights is nowhere.pth, and there is no such file"),
    ],
)
def test_a_config_that_cannot_be_meant_is_refused(tmp_path, section, message) -> None:
    (tmp_path / "x.yaml").write_text(f"evaluate: {{extractor: {section}}}\n")
    with pytest.raises(ConfigError, match=message):
        read_evaluate_config(tmp_path / "x.yaml")


def test_weights_are_looked_for_beside_the_config_and_above_it(tmp_path) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "w.pth").write_bytes(b"")
    (tmp_path / "configs" / "x.yaml").write_text("evaluate: {extractor: {name: timm/resnet10t, weights: w.pth}}\n")
    assert read_evaluate_config(tmp_path / "configs" / "x.yaml").extractor.weights == tmp_path / "w.pth"
