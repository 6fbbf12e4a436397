# SPDX-License-Identifier: Apache-2.0
"""The common threshold under noise: how many scores of a clinic lie above a few public edges, each count noised.

A threshold is a quantile far out (0.97), so that only the share of scores above it matters. Few edges, because every bin adds
noise to all shares that count it; geometric ones, because scores thin out by a constant factor over a constant ratio. On the
server nothing but noisy sums is left, and what is done with them is free: the mean over the clinics, the mean over the
rounds, the nearest shares that never rise, and between two edges a tail that falls exponentially.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np
from flwr.app import ConfigRecord
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from fedgen.config import AppConfig
from fedgen.evaluation.thresholds import BIN_EDGES
from fedgen.privacy.kinds import Kind
from fedgen.privacy.vectors import TAIL, Vector, quantile_of_shares, shares_above

EDGES: Vector = np.array([0.3, 0.5, 0.8, 1.1, 1.5, 2.2, 3.2, 5.0])
"""Public edges on `BIN_EDGES`. A usual beat scores near 0; chosen on DS1's patients, once for all runs."""
_PLACES: NDArray[np.intp] = np.searchsorted(BIN_EDGES, EDGES - 1e-6)
"""Index of each edge in `BIN_EDGES`."""
SHARE_OF_BUDGET = 0.1
LARGEST_DOUBT = 0.5
"""With more noise in a share than this part of the share that is sought, the public threshold stands instead."""
SMALLEST_SHARE = 0.1
"""Shares below this part of the share that is sought are taken as that: noise can make them nothing or less."""


def noised_shares(counts: NDArray[np.float64], noise: float, random: np.random.Generator) -> Vector:
    """Return a clinic's noisy share of scores above each bin, for `fedgen.privacy.vectors`.

    One score more or less changes one of nine counts by one. The number of scores is known, so what the noisy counts add up
    to too much is taken off evenly.

    Args:
        counts: Scores in the bins of `BIN_EDGES`.
        noise: Standard deviation of the noise in each of the nine counts.
        random: Source of the noise.

    Returns:
        Shape [TAIL]: bins between two edges share a value, that of the edge above them. Without noise every bin has its own.
    """
    if noise == 0.0:
        return shares_above(counts)
    total = counts.sum()
    parts = np.array([part.sum() for part in np.split(counts, _PLACES)]) + noise * random.normal(size=len(EDGES) + 1)
    parts += (total - parts.sum()) / len(parts)
    above = np.append(np.cumsum(parts[:0:-1])[::-1] / total, 0.0)
    return np.repeat(above, np.diff(_PLACES, prepend=0, append=TAIL))


def deviation_of_mean(clinics: Iterable[tuple[float, int]]) -> float:
    """Return the largest standard deviation of the mean share above any edge.

    The sum of j of k counts, less its part of what is taken off, has the variance s^2 j (k - j) / k.

    Args:
        clinics: Of each clinic in the mean, the noise s of a count and its number of scores.
    """
    bins = len(EDGES) + 1
    largest = max(above * (bins - above) / bins for above in range(1, bins))
    deviations = [noise * math.sqrt(largest) / examples for noise, examples in clinics]
    return math.sqrt(sum(deviation**2 for deviation in deviations)) / len(deviations) if deviations else math.inf


def noise_of_counts(config: AppConfig, delta: float) -> float:
    """Return the noise of a clinic's counts: those of all rounds take a tenth of the budget's rho.

    epsilon = rho + 2 sqrt(rho log(1 / delta)) gives rho; R releases with noise s take R / (2 s^2) of it (Bun, Steinke,
    2016). Noise 0 in the training means none here either.
    """
    if config.privacy_example_noise == 0.0:
        return 0.0
    log_delta = math.log(1.0 / delta)
    rho = (math.sqrt(config.privacy_example_epsilon + log_delta) - math.sqrt(log_delta)) ** 2
    return math.sqrt(config.num_server_rounds / (2.0 * SHARE_OF_BUDGET * rho))


class ThresholdRule(Protocol):
    """Where the common threshold comes from; the server's."""

    @property
    def start(self) -> float | None:
        """Threshold before the first round."""
        ...

    def see(self, shares: Vector, accounts: Iterable[ConfigRecord]) -> float:
        """Take in a round's mean shares and the accounts of the clinics in it; return the threshold."""
        ...


@dataclass(frozen=True)
class PublicThreshold:
    """The same threshold for good: nothing about scores leaves a client."""

    start: float

    def see(self, shares: Vector, accounts: Iterable[ConfigRecord]) -> float:
        """Return it."""
        return self.start


@dataclass(frozen=True)
class ExactThreshold:
    """The quantile of a round's shares, which have no noise."""

    quantile: float
    start: None = None

    def see(self, shares: Vector, accounts: Iterable[ConfigRecord]) -> float:
        """Return the quantile."""
        return quantile_of_shares(shares, self.quantile)


class NoisyThreshold:
    """The threshold from the noisy shares of all rounds so far.

    Scores are measured by each patient's own usual error, so that their distribution moves little from round to round, and
    the mean over rounds has less noise than any one. Round r weighs r: what the model was like long ago fades.
    """

    start = None

    def __init__(self, config: AppConfig, tell: Callable[[str], None]) -> None:
        """Start with nothing known.

        Args:
            config: The settings.
            tell: Called once in a run where the public threshold has to stand.
        """
        self.config = config
        self.tell = tell
        self.has_told = False
        self.wanted = 1.0 - config.threshold_quantile
        self.rounds = 0
        self.shares: Vector = np.zeros(len(EDGES))
        self.variance = 0.0

    @property
    def is_known(self) -> bool:
        """Whether the shares so far say where the threshold is; if not the public one stands."""
        return self.rounds > 0 and math.sqrt(self.variance) <= LARGEST_DOUBT * self.wanted

    def see(self, shares: Vector, accounts: Iterable[ConfigRecord]) -> float:
        """Take in a round; return the threshold."""
        deviation = deviation_of_mean(self._noises(accounts))
        self.rounds += 1
        part = 2.0 / (self.rounds + 1)
        self.shares += part * (shares[_PLACES - 1] - self.shares)
        self.variance = (1.0 - part) ** 2 * self.variance + (part * deviation) ** 2
        if self.is_known:
            return self._estimate()
        public = self.config.privacy_public_threshold
        if not self.has_told:
            self.has_told = True
            self.tell(
                f"Privacy: from round {self.rounds} on the clinics' scores are too noisy to say where the threshold is: the "
                f"noise in the share of scores above it is {math.sqrt(self.variance):.2g}, the share sought "
                f"{self.wanted:.2g}. The public threshold {public:g} stands until they are not."
            )
        return public

    def _noises(self, accounts: Iterable[ConfigRecord]) -> Iterator[tuple[float, int]]:
        """Yield noise and number of scores of each clinic; what cannot be read makes the mean useless."""
        for account in accounts:
            try:
                delta, examples = float(cast(float, account["delta"])), int(cast(int, account["examples"]))
                yield noise_of_counts(self.config, delta), max(1, examples)
            except (KeyError, TypeError, ValueError, ZeroDivisionError, OverflowError):
                yield math.inf, 1

    def _estimate(self) -> float:
        """Return where the shares fall to the wanted one, between the first edge and the last."""
        falling = -isotonic_regression(-self.shares).x
        logs = np.log(np.clip(falling, SMALLEST_SHARE * self.wanted, 1.0))
        return float(np.interp(-math.log(self.wanted), -logs, EDGES))


def threshold_rule(kind: Kind, config: AppConfig, tell: Callable[[str], None]) -> ThresholdRule:
    """Return where the threshold comes from under a run's mechanisms; notices for the user go to `tell`."""
    if "dp-client" in kind:
        return PublicThreshold(config.privacy_public_threshold)
    has_noise = "dp-example" in kind and config.privacy_example_noise != 0.0
    return NoisyThreshold(config, tell) if has_noise else ExactThreshold(config.threshold_quantile)
