"""How a model of each task is judged, one evaluator a file."""

from gan_models.config import Task
from gan_models.evaluation.tasks import generator, restorer, stylizer, translator
from gan_models.evaluation.tasks.base import Evaluator

EVALUATORS: dict[Task, Evaluator] = {
    "generate": generator,
    "restore": restorer,
    "translate": translator,
    "stylize": stylizer,
}
