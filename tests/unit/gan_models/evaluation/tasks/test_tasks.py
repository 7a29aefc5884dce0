"""Each task is known everywhere that dispatches on it."""

from typing import get_args

import pytest

from flows.tracking.served_model import Request
from gan_models.config import Task
from gan_models.evaluation.tasks import evaluator_of
from gan_models.tasks import TASKS


def test_each_task_has_an_entry_and_an_evaluator():
    assert set(TASKS) == set(get_args(Task))
    for task in get_args(Task):
        assert callable(evaluator_of(task).evaluate)


@pytest.mark.parametrize("task", TASKS)
def test_an_example_asks_for_what_a_request_of_its_task_may_have(task):
    assert set(TASKS[task].example) <= set(TASKS[task].fields) <= set(Request.model_fields)
