"""The Inception score: how sure the classifier is of each image, and how different the images are to it."""

import numpy as np
from scipy.special import log_softmax

from gan_models.evaluation.metrics.frechet_distance import check_features
from gan_models.evaluation.stats.intervals import Array, Estimate


def inception_score(logits: Array) -> Estimate:
    """Return exp of the mean of KL(p(y|x) || p(y)) (Salimans et al. 2016, https://arxiv.org/abs/1606.03498).

    Over all images at once, without splits: a split adds bias, and the interval says what a split's deviation would.
    The influence of an image is the score times its own divergence less their mean, the derivative of the score.

    Args:
        logits: float64 [N, classes].

    Raises:
        InsufficientDataError: fewer than two images.
        NonFiniteError: logits are not finite.
    """
    check_features(logits, "images")
    logs = log_softmax(logits, axis=1)
    shares = np.exp(logs)
    marginal = shares.mean(axis=0)
    # A class that no image has any share of adds nothing.
    divergences = (shares * (logs - np.log(marginal.clip(min=np.finfo(np.float64).tiny)))).sum(axis=1)
    mean = divergences.mean()
    score = float(np.exp(mean))
    return Estimate(score, score * (divergences - mean))
