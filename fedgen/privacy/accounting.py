# SPDX-License-Identifier: Apache-2.0
"""How much has been released: Renyi differential privacy adds up while a run goes on, PLD is what is reported.

Everything is for neighbours that differ by one unit added or removed. Composition adds Renyi epsilons order by order;
a conversion to (epsilon, delta) comes last (Balle et al., 2020, as in Opacus). The privacy loss distribution (PLD,
dp-accounting) is tighter and slower. The Gaussian limit (GDP) is never used: it can lie below the truth.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

Rdp = NDArray[np.float64]
ORDERS: tuple[float, ...] = (
    *(1.25 + x / 4 for x in range(16)),
    5.5,
    6.5,
    *range(6, 64),
    80,
    96,
    128,
    192,
    256,
    512,
    1024,
)
"""Whole orders are quick; the broken ones serve large epsilons."""
LARGEST_LOG_NOISE = 14.0
CALIBRATION_TOLERANCE = 1e-3


@dataclass(frozen=True, order=True)
class Release:
    """Gaussian releases of the same kind.

    Attributes:
        noise: Standard deviation over the sensitivity; 0 means no noise at all.
        rate: Chance of each unit to be in one release (Poisson sampling); 1 for all.
        count: How many.
    """

    noise: float
    rate: float
    count: int


@lru_cache(maxsize=4096)
def _one_release(noise: float, rate: float) -> tuple[float, ...]:
    """Return the Renyi epsilons of one release at `ORDERS`.

    Sampled Gaussian: Mironov, Talwar, Zhang, "Renyi differential privacy of the sampled Gaussian mechanism", 2019.
    """
    from opacus.accountants.analysis.rdp import compute_rdp

    if noise <= 0.0:
        return tuple(math.inf for _ in ORDERS)
    return tuple(float(value) for value in compute_rdp(q=rate, noise_multiplier=noise, steps=1, orders=ORDERS))


def rdp_of(releases: Iterable[Release]) -> Rdp:
    """Return the Renyi epsilons of releases together, at `ORDERS`."""
    total = np.zeros(len(ORDERS))
    for release in releases:
        if release.count:
            total += release.count * np.array(_one_release(release.noise, release.rate))
    return total


def rdp_of_skellam(variance: float, *, l1: float, l2: float) -> Rdp:
    """Return the Renyi epsilons at `ORDERS` of one sum of whole numbers with Skellam noise.

    epsilon(a) <= a l2^2 / (2 v) + min(((2 a - 1) l2^2 + 6 l1) / (4 v^2), 3 l1 / (2 v)) for whole a > 1; other orders
    take the next whole one, for Renyi divergence rises with the order.

    Args:
        variance: Of the noise in each place.
        l1: Largest change of the sum by one unit, in the 1-norm.
        l2: The same in the 2-norm.

    Source: Agarwal, Kairouz, Liu, "The Skellam mechanism for differentially private federated learning", 2021, theorem 3.5.
    """
    orders = np.ceil(np.array(ORDERS))
    correction = np.minimum(
        ((2 * orders - 1) * l2**2 + 6 * l1) / (4 * variance**2), np.full(len(orders), 3 * l1 / (2 * variance))
    )
    rdp: Rdp = orders * l2**2 / (2 * variance) + correction
    return rdp


def epsilon_of(rdp: Rdp, delta: float) -> float:
    """Return epsilon at delta: min over a of rdp + log((a - 1) / a) - (log delta + log a) / (a - 1), at least 0."""
    if not np.any(rdp > 0):
        return 0.0
    orders = np.array(ORDERS)
    each = rdp + np.log((orders - 1) / orders) - (math.log(delta) + np.log(orders)) / (orders - 1)
    return max(0.0, float(np.min(each)))


def calibrate(epsilon: float, delta: float, rdp_at: Callable[[float], Rdp]) -> float:
    """Return the least noise, within 0.1 %, that spends no more than epsilon.

    Args:
        epsilon: The budget.
        delta: Its delta.
        rdp_at: Renyi epsilons of the whole plan for a noise.

    Raises:
        ValueError: Not even very much noise is enough.
    """

    def excess(log_noise: float) -> float:
        spent = epsilon_of(rdp_at(math.exp(log_noise)), delta)
        return math.log(min(max(spent, 1e-12), 1e12) / epsilon)

    low = high = 0.0
    while excess(high) > 0:
        low, high = high, high + 1.0
        if high > LARGEST_LOG_NOISE:
            raise ValueError(f"no noise keeps epsilon {epsilon:g} at delta {delta:g}")
    while low == high or excess(low) <= 0:
        low, high = low - 1.0, low
    found = float(brentq(excess, low, high, xtol=CALIBRATION_TOLERANCE / 2))
    while excess(found) > 0:
        found += CALIBRATION_TOLERANCE / 2
    return math.exp(found)


def pld_epsilon(releases: Iterable[Release], delta: float) -> float:
    """Return epsilon at delta of Gaussian releases by the privacy loss distribution; infinite without noise."""
    return _pld_epsilon(tuple(sorted(releases)), delta)


@lru_cache(maxsize=256)
def _pld_epsilon(releases: tuple[Release, ...], delta: float) -> float:
    from dp_accounting import GaussianDpEvent, PoissonSampledDpEvent
    from dp_accounting.pld import PLDAccountant

    accountant = PLDAccountant()
    for release in releases:
        if release.count and release.noise <= 0.0:
            return math.inf
        event = GaussianDpEvent(release.noise) if release.count else None
        if event is not None:
            sampled = PoissonSampledDpEvent(release.rate, event) if release.rate < 1.0 else event
            accountant.compose(sampled, release.count)
    return cast(float, accountant.get_epsilon(delta))
