"""Configs that say which model training begins from."""

from dataclasses import replace

from flows.tracking.context import StageContext


def following(ctx: StageContext, model: str) -> StageContext:
    """The context of a config that differs in `train.init_from`."""
    train = ctx.model.train.model_copy(update={"init_from": model})
    return replace(ctx, model=ctx.model.model_copy(update={"train": train}))
