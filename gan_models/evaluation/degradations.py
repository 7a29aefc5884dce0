"""The degradations that a restoring model is measured on; without PyTorch."""

from gan_models.config import Degradation, EvaluateConfig, RecipeConfig
from gan_models.evaluation.errors import EvaluationError


def degradations_of(recipe: RecipeConfig, evaluate: EvaluateConfig) -> tuple[Degradation, ...]:
    """Return those of the section evaluate, or else those that the models are trained for.

    Raises:
        EvaluationError: two of the latter have one name.
    """
    assert recipe.name == "restore", "no other recipe has degradations"
    chosen = evaluate.degradations or recipe.degradations
    names = [degradation.name for degradation in chosen]
    if len(set(names)) < len(names):
        raise EvaluationError(f"the model's degradations {names} share a name; list some in the section evaluate")
    return chosen
