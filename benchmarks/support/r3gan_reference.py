"""R3GAN's own networks, losses, data loader and loop order, on any device, for `benchmarks.training` alone.

Its training program insists on a GPU. This follows that program step by step, importing all it can from the repository
that PYTHONPATH names, and prints a line at each step.
"""

import argparse
import copy

import torch

# Of the reference repository, found by PYTHONPATH.
from R3GAN.Networks import Discriminator, Generator  # type: ignore[import-not-found]
from R3GAN.Trainer import AdversarialTraining  # type: ignore[import-not-found]
from training.dataset import ImageFolderDataset  # type: ignore[import-not-found]

EXPANSION = 2
LATENT_DIM = 64
GAMMA = 0.05
EMA_KEEP = 0.999


def main() -> None:
    """Train for the steps asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", required=True)
    parser.add_argument("--widths", type=int, nargs="+", required=True)
    parser.add_argument("--group-width", type=int, required=True)
    parser.add_argument("--blocks", type=int, required=True)
    parser.add_argument("--batch-size", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    device, batch_size, widths = torch.device(options.device), options.batch_size, options.widths

    dataset = ImageFolderDataset(path=options.images, use_labels=False)
    # Their own sampler without end cannot be built with the torch of today.
    sampler = torch.utils.data.RandomSampler(dataset, replacement=True, num_samples=10**9)
    loader = torch.utils.data.DataLoader(
        dataset, sampler=sampler, batch_size=batch_size, num_workers=2, pin_memory=device.type == "cuda"
    )
    batches = iter(loader)
    groups = [width * EXPANSION // options.group_width for width in widths]
    shape = {"BlocksPerStage": [options.blocks] * len(widths), "ExpansionFactor": EXPANSION}
    generator = Generator(LATENT_DIM, widths, CardinalityPerStage=groups, **shape).train().to(device)
    discriminator = Discriminator(widths[::-1], CardinalityPerStage=groups[::-1], **shape).train().to(device)
    print("parameters", sum(p.numel() for net in (generator, discriminator) for p in net.parameters()))
    average = copy.deepcopy(generator).eval()
    trainer = AdversarialTraining(generator, discriminator)
    phases = [(net.requires_grad_(False), torch.optim.Adam(net.parameters(), lr=2e-4, betas=(0.0, 0.9), eps=1e-8))
              for net in (discriminator, generator)]  # fmt: skip
    for step in range(1, options.steps + 1):
        for net, optimizer in phases:
            images = next(batches)[0].to(device).to(torch.float32) / 127.5 - 1
            noise = torch.randn([batch_size, LATENT_DIM], device=device)
            optimizer.zero_grad(set_to_none=True)
            net.requires_grad_(True)
            if net is discriminator:
                trainer.AccumulateDiscriminatorGradients(noise, images, None, GAMMA)
            else:
                trainer.AccumulateGeneratorGradients(noise, images, None)
            net.requires_grad_(False)
            optimizer.step()
        with torch.no_grad():
            for kept, current in zip(average.parameters(), generator.parameters(), strict=True):
                kept.copy_(current.lerp(kept, EMA_KEEP))
        print("step", step)


if __name__ == "__main__":
    main()
