# SPDX-License-Identifier: Apache-2.0
"""Simulated patients: the right beats at the right time in the right shape."""

import numpy as np
import pytest
from numpy.typing import NDArray

from fedgen.data import aami, simulated
from fedgen.data.recording import Recording
from fedgen.data.simulated import simulate

HZ = simulated.SAMPLING_HZ


@pytest.fixture(scope="module")
def recordings() -> list[Recording]:
    """Return five minutes of twelve patients."""
    return [simulate(1, f"patient-{i}", 300.0) for i in range(12)]


def intervals_s(recording: Recording) -> NDArray[np.float64]:
    """Return the RR intervals before each beat but the first."""
    return np.diff(recording.beat_samples) / HZ


def test_same_seed_and_name_give_the_same_patient() -> None:
    first, second = simulate(1, "a", 20.0), simulate(1, "a", 20.0)
    np.testing.assert_array_equal(first.signal_mv, second.signal_mv)
    for other in (simulate(2, "a", 20.0), simulate(1, "b", 20.0)):
        assert not np.array_equal(first.signal_mv, other.signal_mv)


def test_every_patient_has_normal_and_premature_beats(recordings: list[Recording]) -> None:
    counts = np.array([np.bincount(recording.beat_classes, minlength=5) for recording in recordings])
    assert (counts[:, aami.N] > 150).all()
    assert counts[:, aami.S].sum() > 30
    assert counts[:, aami.V].sum() > 60
    assert counts[:, [aami.F, aami.Q]].sum() == 0
    assert (counts[:, aami.N] / counts.sum(axis=1) > 0.7).all()


def test_heart_rates_are_physiological(recordings: list[Recording]) -> None:
    for recording in recordings:
        rate = 60.0 / np.median(intervals_s(recording))
        assert 50.0 < rate < 100.0
        assert intervals_s(recording).min() > 0.3


def test_premature_beats_come_early(recordings: list[Recording]) -> None:
    for recording in recordings:
        ratios = intervals_s(recording) / np.median(intervals_s(recording))
        classes = recording.beat_classes[1:]
        assert (ratios[classes == aami.V] < 0.9).all()
        assert (ratios[classes == aami.S] < 0.95).all()
        assert np.median(ratios[classes == aami.N]) == pytest.approx(1.0, abs=0.05)


def test_ventricular_beats_have_a_full_pause_and_supraventricular_ones_reset(
    recordings: list[Recording],
) -> None:
    spans: dict[int, list[float]] = {aami.V: [], aami.S: []}
    for recording in recordings:
        intervals, usual = intervals_s(recording), np.median(intervals_s(recording))
        for i in range(1, len(recording.beat_classes) - 1):
            if recording.beat_classes[i] in spans:
                spans[recording.beat_classes[i]].append((intervals[i - 1] + intervals[i]) / usual)
    assert np.mean(spans[aami.V]) == pytest.approx(2.0, abs=0.05)
    assert np.mean(spans[aami.S]) == pytest.approx(1.7, abs=0.1)


def width_and_height(recording: Recording, kind: int) -> tuple[float, float]:
    """Return the width at half height (s) and the height (mV) of the mean QRS of a class."""
    beats = recording.beat_samples[recording.beat_classes == kind]
    reach = round(0.12 * HZ)
    mean = np.mean([recording.signal_mv[b - reach : b + reach + 1] for b in beats if b > reach], axis=0)
    mean = mean - np.median(mean)
    height = mean[reach]
    is_above = mean / height > 0.5
    left = reach - int(np.argmin(is_above[reach::-1]))
    right = reach + int(np.argmin(is_above[reach:]))
    return (right - left - 1) / HZ, abs(height)


def test_ventricular_beats_are_wide_and_supraventricular_ones_narrow(recordings: list[Recording]) -> None:
    compared = 0
    for recording in recordings:
        counts = np.bincount(recording.beat_classes, minlength=5)
        if min(counts[aami.V], counts[aami.S]) < 3:
            continue
        normal, ventricular, early = (width_and_height(recording, kind) for kind in (aami.N, aami.V, aami.S))
        assert ventricular[0] > 1.5 * normal[0]
        assert ventricular[1] > normal[1] * 0.9
        assert early[0] == pytest.approx(normal[0], rel=0.35)
        compared += 1
    assert compared >= 4


def test_supraventricular_beats_have_a_flatter_p_wave() -> None:
    random = np.random.default_rng(0)
    traits = simulated.draw_patient(random)
    quiet = simulated.SimulatedPatient(**{**vars(traits), "noise_mv": 0.0, "wander_mv": 0.0, "gain_mv": 1.0})
    times = np.arange(1.0, 40.0)
    peaks = {}
    for kind in (aami.N, aami.S, aami.V):
        classes = np.full(len(times), kind, dtype=np.int8)
        signal = simulated.draw_signal(quiet, times, classes, np.random.default_rng(1), 41.0)
        window = [signal[round((t - 0.26) * HZ) : round((t - 0.12) * HZ)] for t in times]
        peaks[kind] = float(np.max(np.mean(window, axis=0)))
    assert peaks[aami.S] < 0.6 * peaks[aami.N]
    assert peaks[aami.V] < 0.3 * peaks[aami.N] or quiet.ventricular[2, 0] > 0


def test_beats_lie_on_r_peaks(recordings: list[Recording]) -> None:
    for recording in recordings:
        normal = recording.beat_samples[recording.beat_classes == aami.N][2:-2]
        windows = np.array([recording.signal_mv[b - 20 : b + 21] for b in normal])
        assert np.argmax(np.mean(windows, axis=0)) == pytest.approx(20, abs=1)


def test_normal_beats_look_like_those_of_neurokit() -> None:
    neurokit = pytest.importorskip("neurokit2")
    reference = neurokit.ecg_simulate(
        duration=60, sampling_rate=360, heart_rate=60, method="ecgsyn", noise=0.0, random_state=1
    )
    peaks = neurokit.ecg_peaks(reference, sampling_rate=360)[1]["ECG_R_Peaks"][2:-2]
    theirs = np.median([reference[p - 90 : p + 150] for p in peaks], axis=0)
    offset_s = (np.arange(-90, 150) / HZ)[:, None]
    height, centre_s, width_s = simulated.SINUS_WAVES.T
    ours = (height * np.exp(-0.5 * ((offset_s - centre_s) / width_s) ** 2)).sum(axis=1)
    assert np.corrcoef(ours, theirs)[0, 1] > 0.9
