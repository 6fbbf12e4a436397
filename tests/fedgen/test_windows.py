# SPDX-License-Identifier: Apache-2.0
"""Windows, templates, rhythm features and choosing beats."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedgen.data import windows
from fedgen.data.recording import Recording
from fedgen.data.simulated import simulate


def test_window_holds_the_samples_around_the_centre() -> None:
    signal = np.arange(1000.0)
    cut = windows.cut_windows(signal, np.array([300, 500]))
    assert cut.shape == (2, 128)
    np.testing.assert_array_equal(cut[0], np.arange(300 - 48, 300 + 80))
    assert cut[1, windows.SAMPLES_BEFORE_BEAT] == 500


def test_windows_at_the_ends_repeat_the_end_values() -> None:
    signal = np.arange(1.0, 201.0)
    cut = windows.cut_windows(signal, np.array([0, 199]))
    assert (cut[0, :48] == 1.0).all()
    assert cut[0, 48] == 1.0
    assert cut[1, 48] == 200.0
    assert (cut[1, 49:] == 200.0).all()


def test_template_is_the_median_of_the_first_300_beats() -> None:
    beats = np.zeros((400, 128))
    beats[:140] = 9.0
    beats[300:] = 5.0
    assert (windows.template_of(beats) == 0.0).all(), "a minority of odd beats does not move it"


@given(gain=st.floats(0.1, 20.0), offset=st.floats(-5.0, 5.0))
def test_normalising_takes_out_gain_and_offset(gain: float, offset: float) -> None:
    beats = np.random.default_rng(1).standard_normal((20, 128))
    template = windows.template_of(beats)
    first = windows.normalise(beats, template)
    second = windows.normalise(gain * beats + offset, gain * template + offset)
    np.testing.assert_allclose(first, second, atol=1e-6)
    scaled = windows.normalise(template, template)
    assert np.ptp(scaled) == pytest.approx(3.0)
    assert np.mean(scaled) == pytest.approx(0.0, abs=1e-9)


def test_a_flat_template_keeps_the_scale() -> None:
    beats = np.ones((3, 128))
    assert np.isfinite(windows.normalise(beats, beats[0])).all()


def test_regular_rhythm_has_no_features() -> None:
    np.testing.assert_allclose(windows.rhythm_features(np.arange(100) * 300), 0.0, atol=1e-12)


def test_premature_beat_and_compensatory_pause() -> None:
    beats = np.cumsum(np.full(100, 300))
    beats[60] -= 90
    features = windows.rhythm_features(beats)
    assert features[60, 0] == pytest.approx(np.log(210 / 300))
    assert features[60, 1] == pytest.approx(np.log(390 / 300))
    assert features[61, 0] == pytest.approx(np.log(390 / 300))
    assert features[61, 2] == pytest.approx(np.log(210 / 300))
    assert np.abs(np.delete(features, [59, 60, 61, 62], axis=0)).max() < 1e-12


def test_rhythm_uses_no_interval_later_than_the_next() -> None:
    beats = np.cumsum(np.random.default_rng(2).integers(200, 400, 200))
    changed = beats.copy()
    changed[150:] += 77
    before, after = windows.rhythm_features(beats), windows.rhythm_features(changed)
    np.testing.assert_array_equal(before[:149], after[:149])


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_short_recordings_have_features(count: int) -> None:
    features = windows.rhythm_features(np.arange(count) * 250)
    assert features.shape == (count, 3)
    assert np.isfinite(features).all()


def test_prepared_patient_fits_together() -> None:
    recording = simulate(3, "somebody", duration_s=60.0)
    prepared = windows.prepare(recording)
    count = len(recording.beat_samples)
    assert prepared.beats.shape == (count, 128)
    assert prepared.beats.dtype == np.float32
    assert prepared.rhythm.shape == (count, 3)
    assert prepared.template.shape == (128,)
    assert prepared.raw_samples == 60 * 360
    assert 43 <= int(np.argmax(np.abs(prepared.template))) <= 53, "the R peak stands in its place"


def test_recording_refuses_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match=r"order of time"):
        Recording("x", np.zeros(10), 360.0, np.array([5, 3]), np.zeros(2, dtype=np.int8))
    with pytest.raises(ValueError, match=r"one class per beat"):
        Recording("x", np.zeros(10), 360.0, np.array([3, 5]), np.zeros(3, dtype=np.int8))


@given(count=st.integers(0, 500), limit=st.integers(0, 500))
def test_chosen_beats_are_distinct_in_order_and_spread(count: int, limit: int) -> None:
    chosen = windows.spread_out(count, limit)
    assert len(chosen) == (min(count, limit) if limit else count)
    assert (np.diff(chosen) >= 1).all()
    if len(chosen) > 1:
        assert chosen[0] == 0
        assert chosen[-1] < count
        assert np.diff(chosen).max() - np.diff(chosen).min() <= 1
