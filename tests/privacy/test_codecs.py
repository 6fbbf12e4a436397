# SPDX-License-Identifier: Apache-2.0
"""Vectors and whole numbers: what comes back is what went in, within the stated error."""

from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, Context, RecordDict
from hypothesis import given, settings
from hypothesis import strategies as st

from fedgen.config import AppConfig
from fedgen.evaluation.thresholds import BIN_EDGES, histogram, quantile_of
from fedgen.privacy.codecs import RANGES, FloatCodec, QuantisedCodec
from fedgen.privacy.frame import Call, Sum
from fedgen.privacy.vectors import TAIL, difference, layout_of, moved, quantile_of_shares, read_array, shares_above

MODEL = ArrayRecord({"a": Array(np.zeros((3, 4), np.float32)), "b": Array(np.ones(5, np.float32))})
LAYOUT = layout_of(MODEL)
WEIGHTS = 17


def call(seed: int = 0, context: Context | None = None) -> Call:
    context = context or Context(run_id=1, node_id=1, node_config={}, state=RecordDict(), run_config={})
    return Call(context, AppConfig(), 1, seed)


def contribution(random: np.random.Generator, scale: float) -> Any:
    return np.concatenate([random.normal(0, scale, WEIGHTS), np.sort(random.random(TAIL))])


def test_a_model_moved_by_a_difference_is_the_other_model() -> None:
    random = np.random.default_rng(0)
    other = ArrayRecord({k: Array(random.normal(size=v.shape).astype(np.float32)) for k, v in MODEL.items()})
    back = moved(MODEL, difference(other, MODEL))
    assert list(back) == list(MODEL)
    for key in other:
        np.testing.assert_allclose(back[key].numpy(), other[key].numpy(), rtol=1e-6)


def test_shares_give_the_threshold_that_counts_give() -> None:
    counts = histogram(np.random.default_rng(1).normal(1, 2, 5000))
    shares = shares_above(np.array(counts, float))
    for quantile in (0.5, 0.9, 0.97):
        assert abs(quantile_of_shares(shares, quantile) - quantile_of(counts, quantile)) < 1e-9
    assert quantile_of_shares(np.ones(TAIL), 0.9) == BIN_EDGES[-1]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(4, 16), st.sampled_from([1e-4, 0.01, 0.2]), st.integers(1, 8))
def test_the_mean_is_right_within_one_step(seed: int, bits: int, scale: float, clients: int) -> None:
    random = np.random.default_rng(seed)
    codec = QuantisedCodec(LAYOUT, bits=bits, first_range=6 * scale)
    vectors = [contribution(random, scale) for _ in range(clients)]
    numbers = [codec.encode(call(seed + i), vector, codec.brief()) for i, vector in enumerate(vectors)]
    for each in numbers:
        assert np.all(each == np.rint(each))
        assert np.max(np.abs(each)) <= codec.largest
    step = LAYOUT.spread(codec.ranges) / codec.largest
    mean = codec.decode(Sum(np.sum(numbers, axis=0), tuple(range(clients))))
    clipped = [np.clip(vector, -codec.largest * step, codec.largest * step) for vector in vectors]
    assert np.all(np.abs(mean - np.mean(clipped, axis=0)) <= step * (1 + 1e-9))


def test_what_rounding_takes_is_given_later() -> None:
    """With a constant update the mean over rounds converges far below one step, also beyond the range."""
    codec = QuantisedCodec(LAYOUT, bits=4, first_range=0.1)
    vector = np.full(LAYOUT.length, 0.0123)
    context = call().context
    brief, rounds = codec.brief(), 200
    sent = [codec.encode(call(r, context), vector, brief)[:WEIGHTS] * 0.1 / codec.largest for r in range(rounds)]
    np.testing.assert_allclose(np.mean(sent, axis=0), 0.0123, atol=2 * 0.1 / codec.largest / rounds)


def test_rounding_is_right_on_average_and_repeatable() -> None:
    codec = QuantisedCodec(LAYOUT, bits=8, first_range=0.1)
    vector = np.full(LAYOUT.length, 0.0123)
    draws = [codec.encode(call(seed), vector, codec.brief()) for seed in range(400)]
    exact = 0.0123 / 0.1 * codec.largest
    assert abs(np.mean(np.array(draws)[:, :WEIGHTS]) - exact) < 0.05
    np.testing.assert_array_equal(draws[3], codec.encode(call(3), vector, codec.brief()))


def test_ranges_follow_the_mean_only() -> None:
    codec = QuantisedCodec(LAYOUT, bits=16, first_range=1.0)
    vector = np.concatenate([np.full(12, 0.01), np.full(5, 0.5), np.zeros(TAIL)])
    codec.decode(Sum(codec.encode(call(), vector, codec.brief()), (1,)))
    ranges = codec.brief()[RANGES]
    np.testing.assert_allclose(ranges, [0.04, 2.0, 1.0], rtol=0.01)


def test_floats_pass_unchanged() -> None:
    codec = FloatCodec()
    vectors = [contribution(np.random.default_rng(i), 0.1) for i in range(3)]
    total = Sum(np.sum([codec.encode(call(), v, codec.brief()) for v in vectors], axis=0), (1, 2, 3))
    np.testing.assert_array_equal(codec.decode(total), np.sum(vectors, axis=0) / 3)


def test_bytes_that_are_no_array_are_no_array() -> None:
    record = ArrayRecord({"x": Array(np.zeros(3, np.float32))})
    record["x"].data = b"\x93NUMPY nonsense"
    assert read_array(record, "x", np.dtype(np.float32)) is None
    assert read_array(record, "y", np.dtype(np.float32)) is None
