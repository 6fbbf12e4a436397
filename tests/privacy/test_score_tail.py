# SPDX-License-Identifier: Apache-2.0
"""The threshold under noise: near the one without, unbiased by quantisation, and given up where the noise drowns it."""

import math
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from flwr.app import ConfigRecord, RecordDict
from hypothesis import given, settings
from hypothesis import strategies as st

from fedgen.config import AppConfig
from fedgen.evaluation.thresholds import histogram, quantile_of
from fedgen.privacy.codecs import QuantisedCodec
from fedgen.privacy.frame import Call, Sum
from fedgen.privacy.kinds import parse_kind
from fedgen.privacy.score_tail import (
    EDGES,
    ExactThreshold,
    NoisyThreshold,
    PublicThreshold,
    deviation_of_mean,
    noise_of_counts,
    noised_shares,
    threshold_rule,
)
from fedgen.privacy.vectors import TAIL, Layout, shares_above

CLINICS, BEATS, ROUNDS = 22, 100, 2
CONFIG = AppConfig(privacy_kind="secure", num_server_rounds=ROUNDS, min_replies=2)
ACCOUNT = ConfigRecord({"delta": 1.0 / (10 * BEATS), "examples": BEATS})


def scores(random: np.random.Generator) -> np.ndarray[Any, Any]:
    """Draw scores as beats have them: most near 0, a tail that halves every 0.4."""
    return np.where(random.random(BEATS) < 0.85, random.normal(0, 0.3, BEATS), 0.3 + random.exponential(0.55, BEATS))


def unwanted(text: str) -> None:
    raise AssertionError(text)


def test_an_edge_counts_exactly_the_scores_above_it() -> None:
    values = np.random.default_rng(3).normal(1.0, 2.0, 5000)
    shares = noised_shares(np.array(histogram(values), float), 1e-12, np.random.default_rng(0))
    assert shares.shape == (TAIL,)
    found = [np.min(np.abs(shares - np.mean(values >= edge))) for edge in EDGES]
    np.testing.assert_allclose(found, 0.0, atol=1e-9)
    np.testing.assert_array_equal(
        noised_shares(np.array(histogram(values), float), 0.0, np.random.default_rng(0)),
        shares_above(np.array(histogram(values), float)),
    )


def test_the_noise_of_a_mean_share_is_what_is_said() -> None:
    random, noise = np.random.default_rng(1), 4.0
    counts = np.array(histogram(scores(random)), float)
    draws = np.array([noised_shares(counts, noise, random) for _ in range(4000)])
    measured = float(np.max(np.std(draws, axis=0)))
    assert measured == pytest.approx(deviation_of_mean([(noise, BEATS)]), rel=0.05)
    assert deviation_of_mean([(noise, BEATS)] * 4) == pytest.approx(deviation_of_mean([(noise, BEATS)]) / 2)
    assert deviation_of_mean([]) == math.inf


def test_small_clinics_at_epsilon_eight_find_the_threshold_under_eight_bits() -> None:
    """The whole way: noise at the clinic, eight bits, sum, mean over two rounds; 22 clinics of 100 beats."""
    random = np.random.default_rng(0)
    layout = Layout((("w", (1,)),))
    noise = noise_of_counts(CONFIG, cast(float, ACCOUNT["delta"]))
    errors = []
    for repeat in range(40):
        clinics = [np.array(histogram(scores(random)), float) for _ in range(CLINICS)]
        truth = quantile_of([int(count) for count in np.sum(clinics, axis=0)], CONFIG.threshold_quantile)
        rule, codec = NoisyThreshold(CONFIG, unwanted), QuantisedCodec(layout, bits=8, first_range=1.0)
        for server_round in range(1, ROUNDS + 1):
            total = np.zeros(layout.length)
            for number, counts in enumerate(clinics):
                context = cast(Any, SimpleNamespace(state=RecordDict()))
                call = Call(context, CONFIG, server_round, 1000 * repeat + number)
                vector = np.append([0.0], noised_shares(counts, noise, random))
                total += codec.encode(call, vector, codec.brief())
            mean = codec.decode(Sum(total, tuple(range(CLINICS))))
            threshold = rule.see(mean[-TAIL:], [ACCOUNT] * CLINICS)
        errors.append(threshold - truth)
    assert abs(np.mean(errors)) < 0.06
    assert np.quantile(np.abs(errors), 0.9) < 0.3


def test_where_noise_drowns_the_tail_the_public_threshold_stands_and_is_told_once() -> None:
    config = AppConfig(privacy_kind="dp", privacy_example_epsilon=0.1, num_server_rounds=ROUNDS)
    told: list[str] = []
    rule = NoisyThreshold(config, told.append)
    for _ in range(ROUNDS):
        assert rule.see(np.zeros(TAIL), [ACCOUNT] * CLINICS) == config.privacy_public_threshold
    assert len(told) == 1
    assert "too noisy" in told[0]
    assert "public threshold 2" in told[0]


@pytest.mark.parametrize(
    "account", [{}, {"delta": 0.0, "examples": 5}, {"delta": "x", "examples": 5}, {"delta": 0.01, "examples": [1.5]}]
)
def test_an_account_that_cannot_be_read_is_no_reason_to_trust_the_mean(account: dict[str, Any]) -> None:
    rule = NoisyThreshold(CONFIG, lambda text: None)
    assert rule.see(np.full(TAIL, 0.5), [ConfigRecord(account), ACCOUNT]) == CONFIG.privacy_public_threshold


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-5, 5), min_size=TAIL, max_size=TAIL))
def test_whatever_the_shares_the_threshold_lies_between_the_edges(shares: list[float]) -> None:
    threshold = NoisyThreshold(CONFIG, unwanted).see(np.array(shares), [ACCOUNT] * CLINICS)
    assert EDGES[0] <= threshold <= EDGES[-1]


def test_which_rule_a_run_has() -> None:
    def rule(kind: str, **changes: Any) -> type:
        return type(threshold_rule(parse_kind(kind), AppConfig(privacy_kind=kind, **changes), unwanted))

    assert rule("he") is ExactThreshold
    assert rule("secure") is NoisyThreshold
    assert rule("dp", privacy_example_noise=0.0) is ExactThreshold
    assert rule("dp-client") is PublicThreshold
    assert rule("dp-example+dp-client") is PublicThreshold
