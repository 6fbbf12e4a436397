# SPDX-License-Identifier: Apache-2.0
"""Signal cleaning that runs on the device: baseline, noise, sampling rate, amplitude.

Each step is a pure function of a one-dimensional signal. Order: remove the baseline, limit the band,
resample. The band limit comes before the lower rate, so nothing folds back into the band.
"""

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter
from scipy.signal import butter, resample_poly, sosfiltfilt

Signal = NDArray[np.float64]

QRS_MEDIAN_S = 0.2
T_WAVE_MEDIAN_S = 0.6
NOISE_CUTOFF_HZ = 40.0
NOISE_FILTER_ORDER = 4


def odd_length(duration_s: float, sampling_hz: float) -> int:
    """Return the odd number of samples nearest to a duration, at least 1."""
    return 2 * round((duration_s * sampling_hz - 1.0) / 2.0) + 1 if duration_s * sampling_hz > 1.0 else 1


def baseline_of(signal: Signal, sampling_hz: float) -> Signal:
    """Estimate baseline wander with two median filters.

    A 200 ms median removes P waves and QRS complexes, a 600 ms median of that removes T waves; what is
    left is the baseline. Chosen over a 0.5 Hz high-pass filter because medians leave the level between
    waves alone: a high-pass filter rings around tall premature beats and bends the ST segment.

    Args:
        signal: Shape [samples].
        sampling_hz: Samples per second.

    Returns:
        Baseline, same shape and unit as the signal.

    Source: de Chazal et al., IEEE TBME 51(7), 2004, section II-B.
    """
    without_qrs = median_filter(signal, size=odd_length(QRS_MEDIAN_S, sampling_hz), mode="nearest")
    smooth = median_filter(without_qrs, size=odd_length(T_WAVE_MEDIAN_S, sampling_hz), mode="nearest")
    return np.asarray(smooth, dtype=np.float64)


def remove_baseline(signal: Signal, sampling_hz: float) -> Signal:
    """Return the signal less its baseline (see `baseline_of`)."""
    return signal - baseline_of(signal, sampling_hz)


def limit_band(signal: Signal, sampling_hz: float, cutoff_hz: float = NOISE_CUTOFF_HZ) -> Signal:
    """Remove mains hum and muscle noise with a zero-phase low-pass filter.

    Butterworth of order 4, run forwards and backwards, so waves keep their place in time; the gain at
    the cutoff is 1/2. A signal whose rate is too low to hold the cutoff is returned as it is.

    Args:
        signal: Shape [samples].
        sampling_hz: Samples per second.
        cutoff_hz: Frequency above which the signal is damped.

    Returns:
        Filtered signal, same shape and unit.
    """
    if sampling_hz <= 2.0 * cutoff_hz:
        return signal
    sections = butter(NOISE_FILTER_ORDER, cutoff_hz, btype="lowpass", fs=sampling_hz, output="sos")
    return np.asarray(sosfiltfilt(sections, signal), dtype=np.float64)


def resample(signal: Signal, from_hz: float, to_hz: float) -> Signal:
    """Change the sampling rate with a polyphase filter.

    Args:
        signal: Shape [samples].
        from_hz: Its rate.
        to_hz: The wanted rate; the ratio is taken as a fraction with a denominator up to 1000.

    Returns:
        Shape [ceil(samples * to_hz / from_hz)], same unit.
    """
    ratio = Fraction(to_hz / from_hz).limit_denominator(1000)
    if ratio == 1:
        return signal
    return np.asarray(resample_poly(signal, ratio.numerator, ratio.denominator, padtype="line"), dtype=np.float64)


def clean(signal: Signal, from_hz: float, to_hz: float) -> Signal:
    """Remove baseline and noise, then resample: the whole chain of this module."""
    return resample(limit_band(remove_baseline(signal, from_hz), from_hz), from_hz, to_hz)
