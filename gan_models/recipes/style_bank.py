"""Style bank: photographs in the styles of several paintings, or of any image, as strongly as is asked for."""

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from gan_models.config import ImageConfig, StyleBankConfig, TrainConfig
from gan_models.images.pixels import make_grid
from gan_models.images.randomness import Random, generator_for
from gan_models.losses.adversarial import ADVERSARIAL_LOSSES
from gan_models.losses.penalties import r1_penalty
from gan_models.losses.perceptual import content_loss
from gan_models.losses.style import statistics_of, style_loss
from gan_models.losses.total_variation import total_variation
from gan_models.networks.feature_network import load_feature_network, untrained_feature_network
from gan_models.networks.style_bank import StyleBank
from gan_models.networks.style_discriminator import StyleDiscriminator
from gan_models.recipes.base import Batch, Preview, Recipe
from gan_models.recipes.gradients import frozen

PREVIEW_ROWS = 3
PREVIEW_STYLES = 8
OWN_SHARE = 0.2  # A share of images is given its own style and should stay what it is.
LEARNED_SHARE = 0.4  # A share is given a learned style, and the others a painting's statistics.
NUM_NOISE_IMAGES = 32


class Drawn(NamedTuple):
    """Which style each image of a batch is given: bool [N], its own, or else a learned one, or else a painting's."""

    own: Tensor
    learned: Tensor


class Painted(NamedTuple):
    """A batch repainted, Float [N, C, S, S], and the encoder's features of it, of its images and of its targets.

    `bank`: squared differences of learned styles and those of the targets, their mean.
    """

    images: Tensor
    features: list[Tensor]
    of_images: list[Tensor]
    of_targets: list[Tensor]
    bank: Tensor


def build_generator(config: StyleBankConfig, image: ImageConfig, num_labels: int) -> StyleBank:
    """Build the network of a `style_bank` config, its weights and its encoder's yet to be loaded.

    Paintings without labels are one style.
    """
    encoder = untrained_feature_network(config.encoder)
    return StyleBank(image.channels, config.width, max(1, num_labels), encoder)


class StyleBankRecipe(Recipe):
    """Content and style losses in the features of the frozen encoder, and a PatchGAN that knows the styles."""

    def __init__(self, config: TrainConfig, num_labels: int, device: torch.device) -> None:
        super().__init__(config, device)
        self.recipe = cast(StyleBankConfig, config.recipe)
        self.loss = ADVERSARIAL_LOSSES["hinge"]
        self.num_styles = max(1, num_labels)
        generator = build_generator(self.recipe, config.image, num_labels)
        generator.encoder.load_state_dict(load_feature_network(self.recipe.encoder).state_dict())
        generator.calibrate(pink_noise(NUM_NOISE_IMAGES, config.image.channels, config.image.size))
        self.networks = {"generator": self.place(generator)}
        if self.recipe.adversarial_weight:
            discriminator = StyleDiscriminator(config.image.channels, self.recipe.discriminator_width, self.num_styles)
            self.networks["discriminator"] = self.place(discriminator)
        self.optimizers = {name: self.adam(network, self.recipe.betas) for name, network in self.networks.items()}

    def training_step(self, batch: Batch, step: int, random: Random) -> dict[str, Tensor]:
        """Update the discriminator, where there is one, then the generator."""
        assert batch.targets is not None, "a style bank is trained on two domains"
        labels = batch.target_labels
        labels = torch.zeros(len(batch.images), dtype=torch.int64, device=self.device) if labels is None else labels
        self.set_learning_rates(step)
        draw = random.uniform(len(batch.images))
        drawn = Drawn(draw < OWN_SHARE, draw < OWN_SHARE + LEARNED_SHARE)
        with self.autocast():
            painted = self._paint(batch.images, batch.targets, labels, drawn)
        loss, values = self._feature_terms(batch.images, painted, drawn)
        if self.recipe.adversarial_weight:
            values |= self._train_discriminator(batch.targets, painted.images.detach(), labels, drawn, step)
            discriminator = self.networks["discriminator"]
            with frozen(discriminator), self.autocast():
                logits = discriminator(painted.images, labels).float()
            adversarial = _of_paintings(self.loss.generator(logits), drawn)
            loss = loss + self.recipe.adversarial_weight * adversarial
            values["loss/adversarial"] = adversarial.detach()
        values["health/gradient_norm_generator"] = self.update(loss, "generator")
        values["loss/generator"] = loss.detach()
        return values

    def preview(self, network: nn.Module, batch: Batch, random: Random) -> Preview:
        """Show photographs in the first column, then each in every learned style.

        `health/style_spread` is the mean absolute difference between the first style's and the others' images, on the
        scale of [0, 1]: 0 where the styles are all one.
        """
        rows, styles = min(PREVIEW_ROWS, len(batch.images)), min(PREVIEW_STYLES, self.num_styles)
        images = batch.images[:rows]
        columns = [images]
        with torch.no_grad():
            for style in range(styles):
                labels = torch.full((rows,), style, device=self.device)
                columns.append(network(images, cast(StyleBank, network).learned_styles(labels)).float().clamp(-1, 1))
        spread = (torch.stack(columns[2:]) - columns[1]).abs().mean() / 2 if styles > 1 else torch.zeros(())
        picture = make_grid(torch.stack(columns, dim=1).flatten(0, 1), styles + 1)
        return Preview(picture, {"health/style_spread": spread.item()})

    def _paint(self, images: Tensor, targets: Tensor, labels: Tensor, drawn: Drawn) -> Painted:
        generator = self.networks["generator"].train()
        bank = cast(StyleBank, generator)
        num = len(images)
        with torch.no_grad():
            both = torch.cat([images, targets])
            features = [feature.float() for feature in bank.encoder(both)]
            levels = bank.levels(both, features)
            own, examples = bank.style_of_levels(levels).tensor_split(2)
        learned = bank.learned_styles(labels)
        style = torch.where(drawn.own[:, None], own, torch.where(drawn.learned[:, None], learned, examples))
        painted = generator(images, style, levels=[level[:num] for level in levels]).float()
        return Painted(
            painted,
            [feature.float() for feature in bank.encoder(painted)],
            [feature[:num] for feature in features],
            [feature[num:] for feature in features],
            (learned - examples).square().mean(),
        )

    def _feature_terms(self, images: Tensor, painted: Painted, drawn: Drawn) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the weighted sum of all but the adversarial term, and each of them alone."""
        middle = len(painted.features) // 2
        content = content_loss(painted.features[middle], painted.of_images[middle])
        statistics, wanted = (map(statistics_of, features) for features in (painted.features, painted.of_targets))
        style = style_loss(list(statistics), list(wanted))
        difference = (painted.images - images).abs().mean(dim=(1, 2, 3))
        recipe = self.recipe
        terms = {
            "content": (recipe.content_weight, content.mean()),
            "style": (recipe.style_weight, _of_paintings(style, drawn)),
            "identity": (recipe.identity_weight, (difference * drawn.own).mean()),
            "total_variation": (recipe.total_variation_weight, total_variation(painted.images).mean()),
            # Learned styles begin as what their paintings have in common; the others make of them what works best.
            "bank": (recipe.bank_weight, painted.bank),
        }
        loss = torch.stack([weight * term for weight, term in terms.values()]).sum()
        return loss, {f"loss/{name}": term.detach() for name, (_, term) in terms.items()}

    def _train_discriminator(
        self, real: Tensor, fake: Tensor, labels: Tensor, drawn: Drawn, step: int
    ) -> dict[str, Tensor]:
        discriminator = self.networks["discriminator"].train()
        penalized = self.recipe.r1_gamma > 0 and step % self.recipe.r1_every == 0
        penalty = torch.zeros((), device=self.device)
        if penalized:
            real = real.detach().requires_grad_(True)
            real_logits = discriminator(real, labels)
            # The penalty is that of a logit per image, the mean over its patches.
            penalty = r1_penalty(real_logits.mean(dim=(1, 2, 3)), real)
            with self.autocast():
                fake_logits = discriminator(fake, labels).float()
        else:
            with self.autocast():
                logits = discriminator(torch.cat([real, fake]), torch.cat([labels, labels])).float()
            real_logits, fake_logits = logits.tensor_split(2)
        loss = self.loss.real(real_logits).mean() + _of_paintings(self.loss.fake(fake_logits), drawn)
        norm = self.update(loss + self.recipe.r1_gamma / 2 * self.recipe.r1_every * penalty, "discriminator")
        return {
            "loss/discriminator": loss.detach(),
            "health/discriminator_accuracy_real": (real_logits > 0).float().mean(),
            "health/discriminator_accuracy_fake": (fake_logits < 0).float().mean(),
            "health/gradient_norm_discriminator": norm,
        }


def pink_noise(num: int, channels: int, size: int) -> Tensor:
    """Draw noise with the 1/f spectrum of natural images (Field 1987), Float [num, channels, size, size] in [-1, 1]."""
    white = torch.randn(num, channels, size, size, generator=generator_for("pink noise"))
    rows, columns = torch.fft.fftfreq(size)[:, None], torch.fft.rfftfreq(size)[None]
    frequency = (rows.square() + columns.square()).sqrt().clamp(min=1 / size)
    noise: Tensor = torch.fft.irfft2(torch.fft.rfft2(white) / frequency, s=(size, size))
    return (noise / noise.std() / 2).clamp(-1, 1)


def _of_paintings(values: Tensor, drawn: Drawn) -> Tensor:
    """Return the mean of values [N, ...] over the batch, where images that were given their own style count as 0."""
    per_image = values.flatten(1).mean(1) if values.ndim > 1 else values
    return (per_image * ~drawn.own).mean()


build_recipe = StyleBankRecipe
