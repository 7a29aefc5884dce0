"""What tables on the terminal make of labels."""

import io
import shlex

import pytest
from rich.console import Console

from flows.cli.render import next_commands, retraining_summary
from flows.config.settings import Settings
from flows.runtime.records import DatasetVersion, Evaluation, MetricValue, Promotion, TrainingRun, Verdict


def record(kind, **said):
    return kind.model_construct(fingerprint="f" * 64, run_id="r" * 32, seconds=1.0, skipped=False, **said)


@pytest.mark.parametrize(("label", "shown"), [("[/]", "[/]"), ("[red]x", "[red]x"), ("\x1b[2Jx", "\\x1b[2Jx")])
def test_a_label_is_shown_as_it_is(label, shown):
    value = MetricValue.model_construct(value=1.0, low=0.5, high=1.5, baseline=None)
    verdict = Verdict(rule=f"psnr/label_{label} at least 3", passed=False, reason=f"of {label}")
    summary = retraining_summary(
        "digits",
        (
            record(DatasetVersion, name="digits", dvc_md5="a" * 32, num_train=3, num_evaluation=1),
            record(TrainingRun, recipe="dcgan", bundle_digest="b" * 64),
            record(
                Evaluation,
                metrics={f"psnr/label_{label}": value},
                protocol_id="p",
                champion_version=None,
                champion_metrics={},
            ),
            record(Promotion, version="1", decision="rejected", reason=f"of {label}", verdicts=(verdict,)),
        ),
    )
    out = io.StringIO()
    Console(file=out, width=200, force_terminal=False).print(summary)
    assert f"psnr/label_{shown} " in out.getvalue()
    assert f"of {shown}" in out.getvalue()
    assert "\x1b" not in out.getvalue()


def test_commands_can_be_pasted_where_a_path_has_a_space(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////home/ada/my project/mlflow.db")
    shown = next_commands(Settings(), {"PREFECT_HOME": "/home/ada/my project/.atelier"}, [])
    ui, server = (line.strip() for line in shown.plain.splitlines()[2:])
    assert shlex.split(ui)[-2:] == ["--backend-store-uri", "sqlite:////home/ada/my project/mlflow.db"]
    assert shlex.split(server)[0] == "PREFECT_HOME=/home/ada/my project/.atelier"
