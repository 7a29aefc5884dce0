import pytest

from gan_models.evaluation.metrics.catalog import METRICS


def test_every_metric_has_its_own_name_and_says_what_it_is() -> None:
    assert all(name == kind.name for name, kind in METRICS.items())
    assert all(kind.title and kind.description for kind in METRICS.values())
    assert len({kind.title for kind in METRICS.values()}) == len(METRICS)


@pytest.mark.parametrize("name", ["fd_timm_resnet18", "coverage_inception", "is_inception_0a1b2c3d"])
def test_metrics_of_any_network_are_known_by_their_names(name) -> None:
    assert METRICS[name].name == name
    assert name.partition("_")[2] in METRICS[name].title
    assert METRICS[name].higher_is_better is (not name.startswith("fd"))


@pytest.mark.parametrize("name", ["fd", "fd_", "ssim_timm_resnet18", "nothing"])
def test_what_is_no_metric_is_not_known(name) -> None:
    with pytest.raises(KeyError):
        METRICS[name]
