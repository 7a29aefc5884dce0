"""The section `promote` of a config: when a challenger becomes champion."""

from typing import Literal

from pydantic import Field, model_validator

from gan_models.config import Section


class Rule(Section):
    """One condition of promotion, on one metric. Absolute bounds must hold for the whole 95% interval."""

    metric: str
    at_least: float | None = None
    at_most: float | None = None
    of: Literal["baseline"] | None = Field(None, description="the bound is a multiple of the metric's baseline")
    better_than: Literal["champion"] | None = None
    not_worse_than: Literal["champion"] | None = None

    @model_validator(mode="after")
    def _says_one_thing(self) -> "Rule":
        kinds = ("at_least", "at_most", "better_than", "not_worse_than")
        if sum(getattr(self, kind) is not None for kind in kinds) != 1:
            raise ValueError(f"a rule has exactly one of {', '.join(kinds)}")
        if self.of and self.against_champion:
            raise ValueError("'of: baseline' goes with at_least or at_most")
        bound = self.at_least if self.at_least is not None else self.at_most
        if self.of and bound is not None and bound <= 0:
            raise ValueError(f"'of: baseline' makes the bound a multiple of the baseline, which {bound:g} is not")
        return self

    @property
    def against_champion(self) -> bool:
        """Return whether the rule needs a champion."""
        return bool(self.better_than or self.not_worse_than)

    def __str__(self) -> str:
        if self.against_champion:
            return f"{self.metric} {'better' if self.better_than else 'not worse'} than the champion"
        bound = f"at least {self.at_least:g}" if self.at_least is not None else f"at most {self.at_most:g}"
        return f"{self.metric} {bound}{' x baseline' if self.of else ''}"


class PromoteConfig(Section):
    """When a challenger becomes champion. The first model needs only the absolute rules."""

    rules: tuple[Rule, ...] = Field(min_length=1)
