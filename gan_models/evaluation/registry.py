"""Every metric there is: its name, which carries what decides its meaning, its unit, and which way is better."""

from dataclasses import dataclass


@dataclass(frozen=True)
class MetricKind:
    """`higher_is_better` is None where neither direction is better on its own."""

    name: str
    title: str
    unit: str
    higher_is_better: bool | None
    description: str


def _kinds() -> tuple[MetricKind, ...]:
    feature = "feature distance"
    return (
        MetricKind("psnr", "PSNR", "dB", True, "Peak signal-to-noise ratio of 8-bit pixels, mean over images."),
        MetricKind("psnr_gain", "PSNR gain", "dB", True, "PSNR of the output less that of the degraded input."),
        MetricKind("psnr_hole", "PSNR in holes", "dB", True, "PSNR over the missing pixels alone."),
        MetricKind(
            "psnr_hole_gain_nearest",
            "PSNR gain in holes over nearest pixel",
            "dB",
            True,
            "PSNR in holes less that of copying the nearest known pixel.",
        ),
        MetricKind(
            "psnr_hole_gain_mean_colour",
            "PSNR gain in holes over mean colour",
            "dB",
            True,
            "PSNR in holes less that of filling them with the mean of the known pixels.",
        ),
        MetricKind("ssim", "SSIM", "", True, "Structural similarity, 11x11 Gaussian window, mean over images."),
        MetricKind("ssim_gain", "SSIM gain", "", True, "SSIM of the output less that of the degraded input."),
        MetricKind(
            "fd_efficientnet_lite0",
            "Fréchet distance (EfficientNet-Lite0)",
            "",
            False,
            "Distance between the distributions of outputs and of real images, in ImageNet features. Not FID.",
        ),
        MetricKind(
            "diversity",
            "Diversity",
            feature,
            True,
            "Mean distance in features between two outputs, of one label where there are labels.",
        ),
        MetricKind(
            "nearest_training_distance",
            "Distance to nearest training image",
            feature,
            None,
            "Mean distance from an output to the nearest training image. Far below the baseline: memorised.",
        ),
        MetricKind(
            "label_accuracy",
            "Label accuracy",
            "share",
            True,
            "Share of samples that a classifier of the real images recognises as the label asked for.",
        ),
        MetricKind(
            "classes_present",
            "Classes present",
            "share",
            True,
            "Share of labels found in the samples, each at a tenth of its real frequency or more.",
        ),
    )


METRICS: dict[str, MetricKind] = {kind.name: kind for kind in _kinds()}
