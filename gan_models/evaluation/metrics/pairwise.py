"""Euclidean distances between features."""

import numpy as np

from gan_models.evaluation.stats.intervals import Array

ROUNDING = 1e-12  # of the squares of both sides: a squared distance below it is that of two equal rows


def pairwise_distances(a: Array, b: Array) -> Array:
    """Return them between the rows of a, float64 [N, d], and of b, float64 [M, d], as float64 [N, M].

    They are computed from one matrix product, which is off by some rounding. Equal rows are at distance zero: a copy
    has to be found in a neighborhood of radius zero too.
    """
    squares = np.square(a).sum(axis=1)[:, None] + np.square(b).sum(axis=1)
    smallest = ROUNDING * squares
    squares -= 2 * (a @ b.T)
    squares[squares < smallest] = 0.0
    distances: Array = np.sqrt(squares, out=squares)
    return distances
