# SPDX-License-Identifier: Apache-2.0
"""Signal cleaning against closed forms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedgen.data.preprocess import (
    baseline_of,
    clean,
    limit_band,
    odd_length,
    remove_baseline,
    resample,
)

HZ = 360.0
TIME_S = np.arange(0, 20, 1 / HZ)
MIDDLE = slice(1000, -1000)


def sine(frequency_hz: float, hz: float = HZ) -> np.ndarray:
    """Return 20 s of a sine of height 1."""
    return np.sin(2 * np.pi * frequency_hz * np.arange(0, 20, 1 / hz))


def test_window_lengths_are_odd_and_nearest() -> None:
    assert odd_length(0.2, 360.0) == 73
    assert odd_length(0.6, 360.0) == 217
    assert odd_length(0.2, 180.0) == 37
    assert odd_length(0.001, 360.0) == 1
    assert all(odd_length(duration, 360.0) % 2 == 1 for duration in np.linspace(0.001, 1.0, 50))


@given(offset=st.floats(-5, 5), slope=st.floats(-1, 1))
@settings(max_examples=25, deadline=None)
def test_baseline_of_a_straight_line_is_the_line(offset: float, slope: float) -> None:
    line = offset + slope * TIME_S
    np.testing.assert_allclose(baseline_of(line, HZ)[MIDDLE], line[MIDDLE], atol=1e-9)


def test_baseline_ignores_narrow_waves_and_follows_slow_ones() -> None:
    spikes = np.zeros_like(TIME_S)
    for beat in range(180, len(TIME_S) - 40, 300):
        spikes[beat : beat + 30] = 1.0
    wander = 0.4 * sine(0.1)
    np.testing.assert_allclose(baseline_of(spikes, HZ), 0.0, atol=1e-12)
    error = remove_baseline(spikes + wander, HZ) - spikes
    assert np.abs(error[MIDDLE]).max() < 0.05


def test_a_filter_keeps_the_offset_invariance() -> None:
    signal = np.random.default_rng(0).standard_normal(len(TIME_S))
    np.testing.assert_allclose(remove_baseline(signal + 3.0, HZ), remove_baseline(signal, HZ), atol=1e-12)


@pytest.mark.parametrize(("frequency_hz", "gain"), [(5.0, 1.0), (15.0, 1.0), (40.0, 0.5), (100.0, 0.0)])
def test_band_limit_gain(frequency_hz: float, gain: float) -> None:
    wave = sine(frequency_hz)
    expected = gain * wave
    np.testing.assert_allclose(limit_band(wave, HZ)[MIDDLE], expected[MIDDLE], atol=0.01)


def test_band_limit_does_not_move_waves() -> None:
    beat = np.exp(-0.5 * ((TIME_S - 10.0) / 0.02) ** 2)
    assert np.argmax(limit_band(beat, HZ)) == np.argmax(beat)


def test_band_limit_leaves_slow_recordings_alone() -> None:
    wave = sine(5.0, 60.0)
    assert limit_band(wave, 60.0) is wave


@pytest.mark.parametrize(("from_hz", "to_hz"), [(360.0, 180.0), (250.0, 180.0), (128.0, 180.0)])
def test_resampling_keeps_a_sine(from_hz: float, to_hz: float) -> None:
    got = resample(sine(7.0, from_hz), from_hz, to_hz)
    assert len(got) == np.ceil(len(sine(7.0, from_hz)) * to_hz / from_hz)
    np.testing.assert_allclose(got[400:3000], sine(7.0, to_hz)[400:3000], atol=0.01)


def test_resampling_to_the_same_rate_is_the_signal() -> None:
    wave = sine(3.0)
    assert resample(wave, HZ, HZ) is wave


def test_the_chain_recovers_a_beat_from_wander_and_hum() -> None:
    beats = sum(np.exp(-0.5 * ((TIME_S - t) / 0.02) ** 2) for t in np.arange(1.0, 19.5, 0.8))
    cleaned = clean(beats + 0.3 * sine(0.08) + 0.1 * sine(60.0) + 1.0, HZ, 180.0)
    assert len(cleaned) == len(TIME_S) // 2
    assert np.abs(cleaned - beats[::2])[MIDDLE].max() < 0.06
