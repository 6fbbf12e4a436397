# SPDX-License-Identifier: Apache-2.0
"""Client level: the norm never exceeds the clip, the noise is what was accounted for, in floats and in whole numbers."""

import math
from typing import Any

import numpy as np
import pytest
from flwr.app import ConfigRecord, Context, RecordDict
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fedgen.config import AppConfig
from fedgen.privacy.accounting import Release, pld_epsilon
from fedgen.privacy.client_level import POPULATION, CentralNoiseCodec, SkellamCodec, clipped
from fedgen.privacy.frame import Call, Sum
from fedgen.privacy.vectors import TAIL, Layout

LAYOUT = Layout((("a", (40, 50)),))
PEOPLE = 200


def settings_of(**changes: Any) -> AppConfig:
    return AppConfig(
        **{"privacy_kind": "dp-client", "privacy_bits": 16, "min_replies": 4, "num_server_rounds": 10, **changes}
    )


def call() -> Call:
    return Call(Context(run_id=1, node_id=1, node_config={}, state=RecordDict(), run_config={}), AppConfig(), 1, 0)


BRIEF = ConfigRecord({POPULATION: PEOPLE})


@settings(max_examples=60, deadline=None)
@given(arrays(np.float64, TAIL + 30, elements=st.floats(-1e12, 1e12)), st.floats(1e-3, 1e3))
def test_the_norm_never_exceeds_the_clip(vector: Any, clip: float) -> None:
    result = clipped(vector, clip)
    assert np.linalg.norm(result) <= clip * (1 + 1e-12)
    assert not result[-TAIL:].any()
    if np.linalg.norm(vector[:-TAIL]) <= clip:
        np.testing.assert_allclose(result[:-TAIL], vector[:-TAIL], rtol=1e-12, atol=1e-150)


def test_no_noise_and_no_clip_is_the_plain_mean() -> None:
    codec = CentralNoiseCodec(settings_of(privacy_client_noise=0.0, privacy_client_clip=1e9))
    assert codec.begin(PEOPLE)
    random = np.random.default_rng(0)
    vectors = [np.append(random.normal(size=LAYOUT.weights), np.zeros(TAIL)) for _ in range(3)]
    total = Sum(np.sum([codec.encode(call(), v, BRIEF) for v in vectors], axis=0), (1, 2, 3))
    np.testing.assert_allclose(codec.decode(total), np.mean(vectors, axis=0), rtol=1e-12)
    assert codec.guarantee().epsilon == math.inf


def test_central_noise_has_the_stated_size() -> None:
    codec = CentralNoiseCodec(
        settings_of(privacy_client_noise=3.0, privacy_client_clip=0.5, privacy_client_epsilon=1e4)
    )
    assert codec.begin(PEOPLE)
    mean = codec.decode(Sum(np.zeros(LAYOUT.length), tuple(range(10))))
    assert np.std(mean[:-TAIL]) == pytest.approx(3.0 * 0.5 / 10, rel=0.08)
    assert not mean[-TAIL:].any()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 999), st.floats(0.1, 30), st.floats(0.01, 100))
def test_a_rounded_contribution_stays_within_its_sensitivity(seed: int, noise: float, size: float) -> None:
    """With the noise taken out, the whole numbers a client adds never exceed the norm that is accounted for."""
    codec = SkellamCodec(settings_of(privacy_client_noise=noise), LAYOUT)
    codec.learn(BRIEF)
    vector = np.append(np.random.default_rng(seed).normal(0, size, LAYOUT.weights), np.zeros(TAIL))
    exact = clipped(vector, 1.0) * codec.scale(noise)
    for draw in range(5):
        rounded = np.floor(exact + np.random.default_rng(draw).random(len(exact)))
        if np.linalg.norm(rounded[:-TAIL]) <= codec.sensitivity(noise):
            break
    else:
        pytest.fail("five draws in a row were above the bound")
    numbers = codec.encode(call(), vector, BRIEF)
    assert np.max(np.abs(numbers)) <= codec.largest
    assert np.all(numbers == np.rint(numbers))


def test_shares_of_the_fewest_survivors_carry_the_whole_noise() -> None:
    codec = SkellamCodec(settings_of(privacy_client_noise=2.0, privacy_client_epsilon=1e4), LAYOUT)
    assert codec.begin(PEOPLE)
    nothing = np.zeros(LAYOUT.length)
    shares = [codec.encode(call(), nothing, BRIEF) for _ in range(4)]
    total = np.sum(shares, axis=0)[:-TAIL]
    wanted = 2.0 * codec.sensitivity(2.0)
    assert np.std(total) == pytest.approx(wanted, rel=0.08)
    assert abs(np.mean(total)) < 5 * wanted / math.sqrt(LAYOUT.weights)
    mean = codec.decode(Sum(np.append(total, np.zeros(TAIL)), (1, 2, 3, 4)))
    assert np.std(mean) * 4 == pytest.approx(2.0 * codec.sensitivity(2.0) / codec.scale(2.0), rel=0.1)


def test_whole_numbers_cost_little_more_noise_than_floats() -> None:
    exact, whole = CentralNoiseCodec(settings_of()), SkellamCodec(settings_of(), LAYOUT)
    assert exact.begin(PEOPLE)
    assert whole.begin(PEOPLE)
    effective = whole.noise * whole.sensitivity(whole.noise) / whole.scale(whole.noise)
    assert exact.noise <= effective <= 1.03 * exact.noise


@pytest.mark.parametrize("make", [CentralNoiseCodec, lambda config: SkellamCodec(config, LAYOUT)])
def test_the_budget_ends_the_rounds_and_epsilon_never_falls(make: Any) -> None:
    codec = make(settings_of(num_server_rounds=3, privacy_client_epsilon=2.0))
    spent = []
    while codec.begin(PEOPLE):
        spent.append(codec.guarantee().epsilon)
    assert len(spent) == 3
    assert spent == sorted(spent)
    assert 1.5 < spent[-1] <= 2.0
    assert codec.delta == pytest.approx(1 / (10 * PEOPLE))
    assert not codec.begin(PEOPLE)


def test_poisson_sampling_amplifies_and_steps_without_anybody() -> None:
    sampled = CentralNoiseCodec(settings_of(privacy_client_sampling="poisson", fraction_train=0.1))
    everybody = CentralNoiseCodec(settings_of())
    assert sampled.begin(PEOPLE)
    assert everybody.begin(PEOPLE)
    assert sampled.noise < 0.5 * everybody.noise
    mean = sampled.decode(Sum(np.zeros(LAYOUT.length), ()))
    assert np.std(mean[:-TAIL]) == pytest.approx(sampled.noise / (0.1 * PEOPLE), rel=0.1)


@pytest.mark.parametrize(("clients", "rounds", "epsilon"), [(10, 10, 8.0), (1000, 50, 2.0), (22, 5, 8.0)])
def test_skellam_epsilon_is_above_the_privacy_loss_of_gaussian_noise_and_not_far(
    clients: int, rounds: int, epsilon: float
) -> None:
    config = AppConfig(
        num_server_rounds=rounds, privacy_bits=16, min_replies=clients // 2, privacy_client_epsilon=epsilon
    )
    codec = SkellamCodec(config, Layout((("weights", (61_920,)),)))
    for _ in range(rounds):
        assert codec.begin(clients)
    told = codec.guarantee().epsilon
    gaussian = pld_epsilon([Release(codec.noise, 1.0, rounds)], codec.delta)
    assert 0.84 * told < gaussian < 0.91 * told
    assert told <= epsilon
