"""The section `health` of a training run: when it counts as gone wrong, and how often it may try again."""

from pydantic import Field

from gan_models.config.bounds import MAX_STEPS, Steps
from gan_models.config.section import Section


class HealthConfig(Section):
    """Losses and weights that are not finite are always noticed; these are the limits of what is a matter of degree."""

    min_diversity: float = Field(
        0.05, ge=0, lt=1, description="of generated images, as a share of the training images' own; 0 switches it off"
    )
    warm_up: float = Field(0.2, ge=0, le=1, description="share of the steps before which diversity is not judged")
    warm_up_steps: int = Field(
        200, ge=0, le=MAX_STEPS, description="nor before so many: a network that has hardly begun is all gray"
    )
    max_discriminator_accuracy: float | None = Field(
        1.0,
        gt=0.5,
        le=1,
        description="a discriminator that is this accurate on real and on fake images alike has nothing to teach; "
        "null switches it off",
    )
    patience: Steps = Field(100, description="logged steps in a row, after which such a discriminator is unhealthy")
    rollbacks: int = Field(2, ge=0, le=1_000, description="how often a run may go back to a healthy checkpoint")
    learning_rate_factor: float = Field(
        0.5, gt=0, le=1, description="what each roll back multiplies the learning rate by"
    )
