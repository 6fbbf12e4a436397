# SPDX-License-Identifier: Apache-2.0
"""Epsilon against other accountants, numerical divergences and closed forms."""

import math

import numpy as np
import pytest
from dp_accounting import GaussianDpEvent, PoissonSampledDpEvent
from dp_accounting.pld import PLDAccountant
from dp_accounting.rdp import RdpAccountant
from flwr.app import RecordDict
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm, skellam

from fedgen.errors import ConfigError
from fedgen.privacy.accounting import (
    ORDERS,
    Release,
    calibrate,
    epsilon_of,
    pld_epsilon,
    rdp_of,
    rdp_of_skellam,
)
from fedgen.privacy.budget import Account, BudgetExhausted, checked_delta, spend

CASES = [
    (1.0, 64 / 4000, 1260, 1e-5),
    (1.0, 32 / 1000, 3200, 1e-5),
    (1.2, 32 / 300, 200, 1e-4),
    (4.0, 1.0, 20, 1e-3),
]


@pytest.mark.parametrize(("noise", "rate", "count", "delta"), CASES)
def test_renyi_within_one_percent_of_dp_accounting(noise: float, rate: float, count: int, delta: float) -> None:
    event = PoissonSampledDpEvent(rate, GaussianDpEvent(noise)) if rate < 1 else GaussianDpEvent(noise)
    witness = RdpAccountant()
    witness.compose(event, count)
    got = epsilon_of(rdp_of([Release(noise, rate, count)]), delta)
    assert got == pytest.approx(witness.get_epsilon(delta), rel=0.01)


def test_pld_is_that_of_dp_accounting_and_below_renyi() -> None:
    releases = [Release(1.1, 0.05, 60), Release(8.0, 1.0, 10)]
    witness = PLDAccountant()
    witness.compose(PoissonSampledDpEvent(0.05, GaussianDpEvent(1.1)), 60)
    witness.compose(GaussianDpEvent(8.0), 10)
    got = pld_epsilon(releases, 1e-4)
    assert got == pytest.approx(witness.get_epsilon(1e-4), rel=1e-6)
    assert got < epsilon_of(rdp_of(releases), 1e-4)


def test_one_gaussian_against_the_exact_curve() -> None:
    """delta(eps) = Phi(1/2s - eps s) - e^eps Phi(-1/2s - eps s) (Balle, Wang, 2018)."""
    noise, delta = 2.0, 1e-4
    epsilon = pld_epsilon([Release(noise, 1.0, 1)], delta)
    exact = norm.cdf(0.5 / noise - epsilon * noise) - math.exp(epsilon) * norm.cdf(-0.5 / noise - epsilon * noise)
    assert exact == pytest.approx(delta, rel=0.02)
    assert epsilon_of(rdp_of([Release(noise, 1.0, 1)]), delta) >= epsilon


def divergence(variance: float, shift: int, order: float) -> float:
    """Return the Renyi divergence of Skellam noise from itself shifted, summed term by term."""
    reach = int(12 * math.sqrt(variance)) + 30
    values = np.arange(-reach, reach + 1)
    p, q = (skellam.logpmf(values - s, variance / 2, variance / 2) for s in (shift, 0))
    return float(np.logaddexp.reduce(order * p - (order - 1) * q)) / (order - 1)


@pytest.mark.parametrize(("variance", "shift"), [(4.0, 1), (25.0, 1), (25.0, 3), (400.0, 10)])
@pytest.mark.parametrize("order", [2.0, 4.0, 8.0])
def test_skellam_bound_holds_and_is_close(variance: float, shift: int, order: float) -> None:
    bound = rdp_of_skellam(variance, l1=shift, l2=shift)[ORDERS.index(order)]
    exact = divergence(variance, shift, order)
    assert exact <= bound * (1 + 1e-9)
    assert bound <= (1.05 if variance > 100 else 2.0) * exact
    assert bound >= order * shift**2 / (2 * variance), "no less than Gaussian noise of that variance"


@settings(max_examples=25, deadline=None)
@given(st.floats(0.6, 20), st.sampled_from([0.01, 0.1, 1.0]), st.integers(0, 300), st.integers(1, 300))
def test_epsilon_never_falls(noise: float, rate: float, first: int, more: int) -> None:
    account = Account().plus((Release(noise, rate, first),))
    later = account.plus((Release(noise, rate, more), Release(2 * noise, 1.0, 1)))
    assert later.epsilon(1e-5) >= account.epsilon(1e-5) >= 0.0
    assert later.releases[0].count + later.releases[-1].count == first + more + 1


@pytest.mark.parametrize("epsilon", [0.5, 1.0, 8.0])
def test_calibration_meets_the_budget_and_wastes_little(epsilon: float) -> None:
    noise = calibrate(epsilon, 1e-5, lambda sigma: rdp_of([Release(sigma, 0.02, 500)]))
    spent = epsilon_of(rdp_of([Release(noise, 0.02, 500)]), 1e-5)
    assert 0.985 * epsilon <= spent <= epsilon
    with pytest.raises(ValueError, match="no noise keeps epsilon"):
        calibrate(1e-9, 1e-5, lambda sigma: rdp_of([Release(0.0, 1.0, 1)]))


def test_an_account_composes_over_calls_and_stops_before_the_budget() -> None:
    state, round_of = RecordDict(), (Release(1.0, 0.1, 20), Release(10.0, 1.0, 1))
    spent: list[float] = []

    def go_on() -> None:
        while True:
            spent.append(spend(state, round_of, epsilon=4.0, delta=1e-4).epsilon(1e-4))

    with pytest.raises(BudgetExhausted, match=r"raise epsilon from 3\.\d+ to 4\.\d+, above the budget of 4"):
        go_on()
    assert spent == sorted(spent)
    together = rdp_of([Release(1.0, 0.1, 20 * len(spent)), Release(10.0, 1.0, len(spent))])
    assert spent[-1] == pytest.approx(epsilon_of(together, 1e-4), rel=1e-9)
    assert spent[-1] <= 4.0
    with pytest.raises(BudgetExhausted):
        spend(state, round_of, epsilon=4.0, delta=1e-4)


def test_without_noise_there_is_no_guarantee() -> None:
    account = spend(RecordDict(), (Release(0.0, 0.1, 20),), epsilon=1.0, delta=1e-4)
    assert account.epsilon(1e-4) == math.inf
    assert pld_epsilon(account.releases, 1e-4) == math.inf


def test_delta_is_small_enough_or_refused() -> None:
    assert checked_delta(0.0, 250, "example") == pytest.approx(1 / 2500)
    assert checked_delta(1e-6, 250, "example") == 1e-6
    with pytest.raises(
        ConfigError, match=r"privacy\.client\.delta is 0\.01; allowed: at most 1 / \(10 n\) = 0\.01 for|0\.00667"
    ):
        checked_delta(0.01, 15, "client")
