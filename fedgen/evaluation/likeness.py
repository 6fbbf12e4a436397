# SPDX-License-Identifier: Apache-2.0
"""How alike beats are: those that two nodes' models generate, and generated ones against real ones.

Two questions, two figures. Do models say the same to the same question: the correlation of beats decoded from the same codes
and templates. Do samples come from one distribution: the maximum mean discrepancy, which is 0 for equal distributions and
needs no pairs.
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray

from fedgen.models.conv_vae import ConvVae

Beats = NDArray[np.float64]


def generate(model: ConvVae, codes: NDArray[np.float32], template: NDArray[np.float32]) -> Beats:
    """Return one beat per latent code for a patient with that usual beat, shape [codes, 128].

    The decoder's mean: the noise around it (standard deviation 1 in the units of the prepared data) is left out.

    Args:
        model: A trained auto-encoder.
        codes: Shape [codes, latent]; drawn from N(0, I) they give the model's own beats.
        template: Shape [128].
    """
    with torch.no_grad():
        code = torch.from_numpy(codes)
        beats, _ = model.decode(code, torch.from_numpy(template).expand(len(codes), -1))
    return beats.numpy().astype(np.float64)


def mean_correlation(first: Beats, second: Beats) -> float:
    """Return the mean Pearson correlation of corresponding rows; rows without any variation are left out.

    Raises:
        ValueError: The shapes differ, or no row varies.
    """
    if first.shape != second.shape:
        raise ValueError(f"beats of shapes {first.shape} and {second.shape} do not correspond")
    one, other = (beats - beats.mean(axis=1, keepdims=True) for beats in (first, second))
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    if not np.any(lengths > 0):
        raise ValueError("flat beats have no correlation")
    varies = lengths > 0
    return float(np.mean(np.sum(one * other, axis=1)[varies] / lengths[varies]))


def median_distance(beats: Beats) -> float:
    """Return the median distance between different rows: the usual width of the kernel of `discrepancy`."""
    squares = _squared_distances(beats, beats)[np.triu_indices(len(beats), k=1)]
    return float(np.sqrt(np.median(squares)))


def discrepancy(first: Beats, second: Beats, width: float) -> float:
    """Return the squared maximum mean discrepancy of two samples; unbiased, so that it is 0 on average where laws are equal.

    With k(x, y) = exp(-||x - y||^2 / (2 width^2)): mean of k over pairs within the first, plus within the second, less twice
    across. At most 2. Source: Gretton et al., "A kernel two-sample test", 2012, lemma 6.

    Args:
        first: Shape [n, length], n at least 2.
        second: Shape [m, length], m at least 2.
        width: Above 0.
    """

    def kernel(one: Beats, other: Beats) -> Beats:
        return np.asarray(np.exp(-_squared_distances(one, other) / (2.0 * width**2)))

    def within(sample: Beats) -> float:
        count = len(sample)
        return float((kernel(sample, sample).sum() - count) / (count * (count - 1)))

    return within(first) + within(second) - 2.0 * float(kernel(first, second).mean())


def mean_over_pairs(groups: Sequence[Beats], width: float) -> float:
    """Return the mean `discrepancy` over all pairs of groups."""
    return float(np.mean([discrepancy(one, other, width) for one, other in combinations(groups, 2)]))


def _squared_distances(first: Beats, second: Beats) -> Beats:
    squares = np.sum(first**2, axis=1)[:, None] + np.sum(second**2, axis=1)[None, :] - 2.0 * first @ second.T
    return np.asarray(np.maximum(squares, 0.0))
