"""An evaluated model against another one: which differences are more than chance, and what the rules say."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flows.evaluations.rules import Judgment, apply_rules
from flows.runtime.errors import StageError
from flows.runtime.progress import echo
from flows.runtime.records import Evaluation
from flows.tracking.context import StageContext

if TYPE_CHECKING:
    from gan_models.evaluation.comparison import Difference


@dataclass(frozen=True)
class Opponent:
    """A champion's version with its evaluation, or why there is none."""

    version: str
    evaluation: Evaluation | None
    why_not: str = ""


def judge_against(ctx: StageContext, judged: Evaluation, opponent: Opponent | None) -> Judgment:
    """Apply the config's rules; an opponent that cannot be compared with fails every rule about it."""
    rules = ctx.model.promote.rules
    if opponent is None:
        return Judgment(apply_rules(rules, judged.metrics, None, judged.left_out))
    why_not = opponent.why_not
    if opponent.evaluation:
        try:
            differences = compare_evaluations(ctx, judged, opponent.evaluation)
        except StageError as error:
            why_not = str(error)
        else:
            by_key = {difference.key: difference for difference in differences}
            verdicts = apply_rules(rules, judged.metrics, by_key, judged.left_out)
            return Judgment(verdicts, opponent.evaluation, differences, opponent.version)
    echo(f"champion version {opponent.version} cannot be compared with: {why_not}")
    reason = f"champion version {opponent.version} cannot be compared with ({why_not}); it keeps serving"
    return Judgment(apply_rules(rules, judged.metrics, reason, judged.left_out), opponent_version=opponent.version)


def compare_evaluations(ctx: StageContext, a: Evaluation, b: Evaluation) -> tuple["Difference", ...]:
    """Compare every metric of a with that of b.

    Raises:
        StageError: they were made under different protocols, or one of them is damaged; the message says what differs.
    """
    from gan_models.evaluation.comparison import compare, load_evaluation
    from gan_models.evaluation.errors import EvaluationError

    try:
        ours, theirs = (load_evaluation(ctx.tracking.fetch(record.run_id, "evaluation")) for record in (a, b))
        return compare(*ours, *theirs)
    except (EvaluationError, OSError) as error:
        raise StageError(str(error)) from None
