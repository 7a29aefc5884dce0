"""The model card: what a person who is to use a model has to know of it, and its weaknesses first."""

import pytest

from flows.config.model_config import ModelConfig
from flows.evaluations.model_card import MAX_DESCRIPTION, limits_of, render_card, shortened
from flows.runtime.records import DatasetVersion, Evaluation, Promotion, TrainingRun, Verdict
from gan_models.bundles.description import BundleDescription
from gan_models.config import (
    CutConfig,
    DcganConfig,
    ImageConfig,
    Pix2PixConfig,
    RecipeConfig,
    RestoreConfig,
    StyleBankConfig,
    validate,
)
from gan_models.evaluation.result import EvaluationResult, LeftOut, Metric, Protocol, Slice
from tests.support.project import TINY

DATASET = DatasetVersion(
    fingerprint="d0",
    run_id="r0",
    name="tiny",
    content_digest="c0",
    dvc_md5="7ce5b49.dir",
    git_commit=None,
    num_train=1361,
    num_evaluation=436,
)
TRAINING = TrainingRun(
    fingerprint="t0",
    run_id="r1",
    model_name="tiny-digits",
    logged_model_id="m-1",
    recipe="dcgan",
    bundle_digest="0123456789abcdef",
    dataset=DATASET,
)
EVALUATION = Evaluation(
    fingerprint="e0",
    run_id="r2",
    model_name="tiny-digits",
    target="training run r1",
    bundle_digest="0123456789abcdef",
    dataset=DATASET,
    training=TRAINING,
    protocol_id="p0",
    metrics={},
)
BUNDLE = BundleDescription(
    recipe=DcganConfig(),
    image=ImageConfig(size=32, channels=1, fit="resize"),
    label_names=("0", "1"),
    num_steps=1200,
    config_digest="c",
    data_digest="d",
    torch_version="2",
    weights_sha256="w",
)
RECIPES = {
    "generate": DcganConfig(),
    "restore": RestoreConfig(),
    "translate": CutConfig(),
    "stylize": StyleBankConfig(),
}


def metric(
    name: str, value: float, part: Slice | None = None, baseline: float | None = None, higher: bool = True
) -> Metric:
    protocol = Protocol(metric=name, num_images=20, seed=0, split_digest="s", image="32x32x1 resize")
    numbers = {"value": value, "low": value - 0.1, "high": value + 0.1, "baseline": baseline}
    named = None if baseline is None else "evaluation images"
    return Metric(
        name=name, slice=part, **numbers, num_images=20, higher_is_better=higher, baseline_name=named, protocol=protocol
    )


def label(name: str) -> Slice:
    return Slice(kind="label", name=name)


def result_of(*metrics: Metric, notes: tuple[str, ...] = (), task: str = "generate") -> EvaluationResult:
    return EvaluationResult(bundle_digest="b0", task=task, protocol_id="p0", metrics=metrics, notes=notes)


def decision(*verdicts: Verdict) -> Promotion:
    return Promotion(
        fingerprint="p1",
        run_id="r3",
        model_name="tiny-digits",
        version="3",
        decision="promoted",
        reason="all rules hold",
        verdicts=verdicts,
    )


def card(result: EvaluationResult, recipe: RecipeConfig | None = None, **config: str) -> str:
    dataset = {**TINY["dataset"], "license": config.pop("data_license", None)}
    model = validate(ModelConfig, {**TINY, "dataset": dataset, **config}, "config")
    bundle = BUNDLE.model_copy(update={"recipe": recipe or RECIPES[result.task]})
    return render_card(model, EVALUATION, TRAINING, decision(), result, bundle)


def test_a_card_says_what_the_model_is_of_which_data_and_how_to_use_it():
    text = card(
        result_of(metric("diversity", 17.3, baseline=15.7)),
        license="Apache-2.0",
        data_license="CC BY 4.0",
        intended_use="Drawing digits for tests; not for reading bank checks.",
    )
    for told in (
        "# tiny-digits, version 3",
        "Three digits, for tests.",
        "32x32x1 (resize), 1,200 steps",
        "- License: Apache-2.0",
        "not for reading bank checks",
        "| tiny | `7ce5b49.dir` | `inbox` | 1,361 | 436 | CC BY 4.0 |",
        "| diversity | 17.3 | 17.2 to 17.4 | 15.7 (evaluation images) |",
        'mlflow.pyfunc.load_model("models:/tiny-digits/3")',
    ):
        assert told in text


@pytest.mark.parametrize(
    ("recipe", "turns"),
    [
        ({"source_domain": "photo", "target_domain": "map"}, "Turns `photo` into `map`"),
        ({"input": "edges", "target": "image"}, "Turns `edges` into `image`"),
    ],
    ids=["of pairs", "of one image"],
)
def test_a_card_says_what_a_translating_model_is_given_and_what_it_makes(recipe: dict[str, str], turns: str):
    kind = Pix2PixConfig.model_validate(recipe)
    text = card(result_of(metric("psnr", 20.0), task="translate"), recipe=kind)
    assert f"- {turns}\n" in text


def test_what_nobody_stated_is_not_made_up():
    text = card(result_of(metric("diversity", 17.3)))
    assert text.count("not stated") == 3
    assert "None was found by this evaluation" in text


def test_weaknesses_are_failed_rules_then_slices_worse_than_their_baseline_then_notes():
    weak = metric("label_accuracy", 0.4, label("8"), baseline=0.9)
    weaker = metric("label_accuracy", 0.2, label("3"), baseline=0.9)
    unsure = metric("label_accuracy", 0.85, label("5"), baseline=0.9)
    good = metric("style_distance", 0.5, Slice(kind="style", name="night"), baseline=2.0, higher=False)
    failed = Verdict(rule="diversity at least 9", passed=False, reason="8 [7, 9.5], not wholly at least 9")
    limits = limits_of(result_of(weak, weaker, unsure, good, notes=("A note.",)), decision(failed))
    assert limits == [
        "Fails the rule diversity at least 9: 8 [7, 9.5], not wholly at least 9.",
        "label_accuracy of the label 3 is 0.2 [0.1, 0.3], worse than the 0.9 of the baseline (evaluation images).",
        "label_accuracy of the label 8 is 0.4 [0.3, 0.5], worse than the 0.9 of the baseline (evaluation images).",
        "A note.",
    ]


def test_many_weak_slices_are_counted_and_not_all_listed():
    weak = [metric("label_accuracy", 0.2, label(str(n)), baseline=0.9) for n in range(20)]
    limits = limits_of(result_of(*weak), decision())
    assert len(limits) == 9
    assert limits[-1] == "12 more slices are worse than their baseline; see the report."


def test_a_card_that_is_too_long_for_the_registry_is_cut_after_a_line_and_says_where_the_rest_is():
    text = card(
        result_of(*(metric("psnr", 20.0, Slice(kind="degradation", name=f"degradation_{n}")) for n in range(200)))
    )
    assert len(text) > MAX_DESCRIPTION
    cut = shortened(text)
    assert len(cut) <= MAX_DESCRIPTION
    assert cut.endswith("The whole card: `model_card.md`, an artifact of the logged model.")
    assert shortened("short") == "short"


@pytest.mark.parametrize(("task", "field"), [("restore", '"image"'), ("stylize", '"style"')])
def test_the_example_asks_for_what_the_model_does(task: str, field: str):
    assert field in card(result_of(metric("psnr", 20.0), task=task)).rpartition("model.predict")[2]


def test_the_example_asks_for_a_label_where_the_model_uses_labels():
    result = result_of(metric("diversity", 17.3))
    assert '{"label": "…", "seed": 1}' in card(result)
    assert '[{"seed": 1}]' in card(result, recipe=DcganConfig(conditional=False))


def test_a_card_says_what_was_not_measured_and_why():
    missing = LeftOut(name="art_distance", reason="takes 64 photographs or more, and these are 12", smallest=64)
    result = result_of(metric("diversity", 17.3)).model_copy(update={"left_out": (missing,)})
    assert "- Not measured: art_distance: takes 64 photographs or more, and these are 12." in card(result)


def test_a_license_changes_no_fingerprint_of_the_data():
    dataset = TINY["dataset"]
    plain, licensed = (
        validate(ModelConfig, {**TINY, "dataset": d}, "config") for d in (dataset, {**dataset, "license": "MIT"})
    )
    assert licensed.dataset.license == "MIT"
    assert plain.dataset.model_dump() == licensed.dataset.model_dump()
