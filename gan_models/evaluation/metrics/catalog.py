"""Every metric there is: its name, which carries what decides its meaning, its unit, and which way is better."""

from gan_models.evaluation.metrics.families import FEATURE_DISTANCE, ORIGINALS, family_kind, family_kinds
from gan_models.evaluation.metrics.metric_kind import MetricKind

# Pixels a side of the smallest images: SSIM's window, five of its scales, and what is left for LPIPS's last stages.
SSIM_SIDE, MS_SSIM_SIDE, LPIPS_SIDE = 11, 176, 31


class _Metrics(dict[str, MetricKind]):
    """By name. Those in the features of a network that only their name tells of are found too."""

    def __missing__(self, name: str) -> MetricKind:
        return family_kind(name)


def _kinds() -> tuple[MetricKind, ...]:
    return (
        MetricKind("psnr", "PSNR", "dB", True, "Peak signal-to-noise ratio of 8-bit pixels, mean over images."),
        MetricKind("psnr_gain", "PSNR gain", "dB", True, "PSNR of the output less that of the degraded input."),
        MetricKind(
            "psnr_gain_classical",
            "PSNR gain over the best classical method",
            "dB",
            True,
            "PSNR of the output less that of the best of some classical methods, which are told the noise or kernel.",
        ),
        MetricKind(
            "psnr_gain_classical_blind",
            "PSNR gain over the best blind classical method",
            "dB",
            True,
            "The same, where the classical methods are not told the kernel either.",
        ),
        MetricKind("psnr_hole", "PSNR in holes", "dB", True, "PSNR over the missing pixels alone."),
        MetricKind(
            "psnr_hole_gain_nearest",
            "PSNR gain in holes over nearest pixel",
            "dB",
            True,
            "PSNR in holes less that of copying the nearest known pixel.",
        ),
        MetricKind(
            "psnr_hole_gain_mean_color",
            "PSNR gain in holes over mean color",
            "dB",
            True,
            "PSNR in holes less that of filling them with the mean of the known pixels.",
        ),
        MetricKind(
            "psnr_gain_identity",
            "PSNR gain over the input",
            "dB",
            True,
            "PSNR of the output less that of the input itself.",
        ),
        MetricKind(
            "psnr_gain_mean",
            "PSNR gain over the mean image",
            "dB",
            True,
            "PSNR of the output less that of the mean training image in place of each.",
        ),
        MetricKind(
            "ssim",
            "SSIM",
            "",
            True,
            "Structural similarity, 11x11 Gaussian window, mean over images.",
            min_side=SSIM_SIDE,
        ),
        MetricKind(
            "ssim_gain",
            "SSIM gain",
            "",
            True,
            "SSIM of the output less that of the degraded input.",
            min_side=SSIM_SIDE,
        ),
        MetricKind(
            "ssim_gain_identity",
            "SSIM gain over the input",
            "",
            True,
            "SSIM of the output less that of the input itself.",
            min_side=SSIM_SIDE,
        ),
        MetricKind(
            "ssim_gain_mean",
            "SSIM gain over the mean image",
            "",
            True,
            "SSIM of the output less that of the mean training image in place of each.",
            min_side=SSIM_SIDE,
        ),
        MetricKind("psnr_y", "PSNR of luma", "dB", True, "PSNR of BT.601's Y, 8 bits, mean over images."),
        MetricKind("ssim_y", "SSIM of luma", "", True, "SSIM of BT.601's Y, mean over images.", min_side=SSIM_SIDE),
        MetricKind(
            "ms_ssim",
            "MS-SSIM",
            "",
            True,
            "SSIM at five scales, images of 176 px or more, mean over images.",
            min_side=MS_SSIM_SIDE,
        ),
        MetricKind(
            "ms_ssim_y", "MS-SSIM of luma", "", True, "MS-SSIM of BT.601's Y, mean over images.", min_side=MS_SSIM_SIDE
        ),
        MetricKind(
            "feature_distance_efficientnet_lite0",
            "Distance in features (EfficientNet-Lite0)",
            FEATURE_DISTANCE,
            False,
            "Mean squared difference of normalized features to those of the original or the input. LPIPS without "
            "learned weights.",
        ),
        MetricKind(
            "lpips",
            "LPIPS",
            "",
            False,
            "Learned perceptual distance to the original, AlexNet, mean over images.",
            min_side=LPIPS_SIDE,
        ),
        MetricKind(
            "warping_error",
            "Warping error",
            "",
            False,
            "Mean squared difference of video frames to the next ones warped onto them, pixels in [0, 1].",
        ),
        MetricKind(
            "content_ssim",
            "Content kept (SSIM)",
            "",
            True,
            "SSIM between the luminance of an input and of what it became.",
            min_side=SSIM_SIDE,
        ),
        MetricKind(
            "cycle_psnr",
            "PSNR of there and back",
            "dB",
            True,
            "PSNR of images translated and back again, mean over images.",
        ),
        MetricKind(
            "mean_iou",
            "Mean IoU",
            "",
            True,
            "Intersection over union of a class, over the pixels of all images; mean over the classes that there are.",
        ),
        MetricKind(
            "mean_iou_gain",
            "Mean IoU gain over the most frequent class",
            "",
            True,
            "Mean IoU less that of the most frequent class, of all pixels or of each, whichever is better.",
        ),
        MetricKind("iou", "IoU", "", True, "Pixels in both the output and the mask over pixels in either, one class."),
        MetricKind("pixel_accuracy", "Pixel accuracy", "share", True, "Share of pixels whose class is right."),
        MetricKind(
            "tone_iou", "IoU of tones", "", True, "Intersection over union of each image's tones, mean over images."
        ),
        MetricKind(
            "tone_iou_gain_identity",
            "IoU gain over fixed thresholds",
            "",
            True,
            "IoU of the output less that of the input's luminance cut at one third and two thirds.",
        ),
        MetricKind(
            "tone_iou_gain_mean",
            "IoU gain over the most frequent tone",
            "",
            True,
            "IoU of the output less that of each pixel's most frequent tone in training.",
        ),
        MetricKind(
            "ssim_gain_classical",
            "SSIM gain over the best classical method",
            "",
            True,
            "SSIM of the output less that of the best of some classical methods, which are told the noise or kernel.",
            min_side=SSIM_SIDE,
        ),
        MetricKind(
            "ssim_gain_classical_blind",
            "SSIM gain over the best blind classical method",
            "",
            True,
            "The same, where the classical methods are not told the kernel either.",
            min_side=SSIM_SIDE,
        ),
        MetricKind(
            "style_distance",
            "Distance to the style",
            "",
            False,
            "Squared distance of feature means and deviations to those of the style's paintings; 1: their own spread.",
        ),
        MetricKind(
            "style_matched",
            "Own painting nearest",
            "share",
            True,
            "Share of repainted images to which, of all paintings, that of the style asked for is the nearest.",
        ),
        MetricKind(
            "styles_matched",
            "Styles nearest to their own painting",
            "share",
            True,
            "Share of styles whose images are, on average, nearer to their own painting than to each other one.",
        ),
        MetricKind(
            "alpha0_psnr",
            "PSNR at alpha 0",
            "dB",
            True,
            "PSNR between images and what they become with none of a style.",
        ),
        MetricKind(
            "alpha_monotonic",
            "Alpha moves one way",
            "share",
            True,
            "Share of images that, as alpha grows by quarters, are at each step further from the photograph in pixels "
            "and nearer to the style.",
        ),
        MetricKind(
            "styles_monotonic",
            "Styles that alpha moves one way",
            "share",
            True,
            "The same of the means over images: the share of styles for which it is so.",
        ),
        MetricKind(
            "content_distance",
            "Content lost",
            FEATURE_DISTANCE,
            False,
            "Mean squared difference of normalized features between an image and what it became.",
        ),
        MetricKind(
            "art_distance",
            "Art distance",
            "",
            False,
            "(1 + content lost)(1 + Fréchet distance to the paintings): the form of ArtFID in other features.",
            min_images=64,
        ),
        MetricKind(
            "diversity",
            "Diversity",
            FEATURE_DISTANCE,
            True,
            "Mean distance in features between two outputs, of one label where there are labels.",
        ),
        MetricKind(
            "nearest_training_distance",
            "Distance to nearest training image",
            FEATURE_DISTANCE,
            None,
            "Mean distance from an output to the nearest training image. Far below the baseline: memorized.",
        ),
        MetricKind(
            "reconstruction_psnr",
            "Reconstruction PSNR",
            "dB",
            True,
            "PSNR of evaluation images that the model encoded and decoded again, mean over images.",
        ),
        MetricKind(
            "label_accuracy",
            "Label accuracy",
            "share",
            True,
            "Share of samples that a classifier of the real images recognizes as the label asked for.",
        ),
        MetricKind(
            "classes_present",
            "Classes present",
            "share",
            True,
            "Share of labels found in the samples, each at a tenth of its real frequency or more.",
        ),
    )


METRICS: dict[str, MetricKind] = _Metrics(
    (kind.name, kind) for kind in (*_kinds(), *family_kinds("efficientnet_lite0", "EfficientNet-Lite0"), *ORIGINALS)
)
