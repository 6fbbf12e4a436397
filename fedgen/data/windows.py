# SPDX-License-Identifier: Apache-2.0
"""From a recording to what the model reads: beat windows, a template of the patient, rhythm features.

Windows are cut around the beat positions that the recording brings along (for MIT-BIH the cardiologists'
annotations). A device in the field would run a QRS detector instead; its misses are not modelled.
"""

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from fedgen.data.preprocess import clean
from fedgen.data.recording import Recording

PREPARATION_VERSION = 1
"""Part of every cache key: raise it whenever the prepared numbers change."""

MODEL_HZ = 180.0
SAMPLES_BEFORE_BEAT = 48
SAMPLES_AFTER_BEAT = 80
WINDOW_SAMPLES = SAMPLES_BEFORE_BEAT + SAMPLES_AFTER_BEAT
CALIBRATION_BEATS = 300
TEMPLATE_HEIGHT = 3.0
RHYTHM_MEMORY_BEATS = 50
RHYTHM_FEATURES = 3
SMALLEST_RATIO, LARGEST_RATIO = 0.2, 2.5

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class PreparedPatient:
    """One patient's beats as the model reads them.

    Attributes:
        patient: Name of the patient.
        beats: Windows of 128 samples at 180 Hz, scaled by `normalise`, shape [beats, 128].
        template: The patient's usual beat in the same units, shape [128].
        rhythm: See `rhythm_features`, shape [beats, 3].
        classes: AAMI class code of each beat, shape [beats].
        raw_samples: Samples of raw signal that were cleaned to get here.
    """

    patient: str
    beats: Floats
    template: Floats
    rhythm: Floats
    classes: NDArray[np.int8]
    raw_samples: int

    def chosen(self, indices: NDArray[np.int64]) -> "PreparedPatient":
        """Return the same patient with some of the beats only."""
        return PreparedPatient(
            self.patient,
            self.beats[indices],
            self.template,
            self.rhythm[indices],
            self.classes[indices],
            self.raw_samples,
        )


def cut_windows(signal: NDArray[np.float64], centres: NDArray[np.int64]) -> NDArray[np.float64]:
    """Cut one window per beat: 48 samples before its centre, the centre and 79 samples after.

    Args:
        signal: Shape [samples], at `MODEL_HZ`.
        centres: Beat positions in the signal, shape [beats].

    Returns:
        Shape [beats, 128]. Where a window passes an end of the signal, the end value is repeated, so
        that no beat is lost.
    """
    padded = np.pad(signal, (SAMPLES_BEFORE_BEAT, SAMPLES_AFTER_BEAT), mode="edge")
    return np.asarray(padded[centres[:, None] + np.arange(WINDOW_SAMPLES)[None, :]])


def template_of(windows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the patient's usual beat: the sample-wise median of the first 300 beats, shape [128].

    About the first five minutes, the share that EC57 allows for patient adaptation. No labels are used.
    The median stands as long as less than half of those beats are abnormal.
    """
    return np.asarray(np.median(windows[:CALIBRATION_BEATS], axis=0))


def normalise(windows: NDArray[np.float64], template: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale windows so that the patient's template has mean 0 and a peak-to-peak height of 3.

    One offset and one scale per patient: gains differ between recorders and bodies, while the size of a
    beat against the patient's usual beat is what tells premature ventricular beats. A flat template
    leaves the scale as it is. Height and not standard deviation, and 3 rather than 1, were chosen by
    validation inside DS1.

    Args:
        windows: Shape [..., 128].
        template: Shape [128].

    Returns:
        Same shape as `windows`, no unit.
    """
    height = float(np.ptp(template))
    return (windows - float(np.mean(template))) * (TEMPLATE_HEIGHT / height if height > 0.0 else 1.0)


def usual_intervals(intervals: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return, for each interval, the median of the latest 50 up to and with it.

    The first 50 share the median of the first 50 (of all, if there are fewer).

    Args:
        intervals: RR intervals, shape [beats], any unit of time.

    Returns:
        Same shape and unit.
    """
    memory = min(RHYTHM_MEMORY_BEATS, len(intervals))
    medians = np.median(sliding_window_view(intervals, memory), axis=1)
    return np.concatenate([np.full(memory - 1, medians[0]), medians])


def rhythm_features(beat_samples: NDArray[np.int64]) -> NDArray[np.float64]:
    """Describe how each beat lies in time against the patient's own recent rhythm.

    With RR the interval before beat i and U the usual interval (`usual_intervals`):
    log(RR[i]/U[i]), log(RR[i+1]/U[i]) and log(RR[i-1]/U[i-1]). A premature beat has the first below 0, a
    compensatory pause makes the second positive. Ratios are held to 0.2..2.5; what lies outside the
    recording counts as usual (0).

    Args:
        beat_samples: Beat positions, increasing, shape [beats].

    Returns:
        Shape [beats, 3], no unit. The second feature needs the next beat: a device knows it one beat late.
    """
    beats = len(beat_samples)
    if beats < 2:
        return np.zeros((beats, RHYTHM_FEATURES))
    intervals = np.diff(beat_samples).astype(np.float64)
    usual = usual_intervals(intervals)
    before = np.log(np.clip(intervals / usual, SMALLEST_RATIO, LARGEST_RATIO))
    after = np.log(np.clip(intervals[1:] / usual[:-1], SMALLEST_RATIO, LARGEST_RATIO))
    features = np.zeros((beats, RHYTHM_FEATURES))
    features[1:, 0] = before
    features[0, 1], features[1:-1, 1] = before[0], after
    features[2:, 2] = before[:-1]
    return features


def prepare(recording: Recording) -> PreparedPatient:
    """Clean a recording and cut it into what the model reads.

    Args:
        recording: Raw signal and beats.

    Returns:
        All beats of the recording, in order of time.
    """
    signal = clean(recording.signal_mv, recording.sampling_hz, MODEL_HZ)
    centres = np.rint(recording.beat_samples * (MODEL_HZ / recording.sampling_hz)).astype(np.int64)
    windows = cut_windows(signal, np.clip(centres, 0, len(signal) - 1))
    template = template_of(windows)
    return PreparedPatient(
        patient=recording.patient,
        beats=normalise(windows, template).astype(np.float32),
        template=normalise(template, template).astype(np.float32),
        rhythm=rhythm_features(recording.beat_samples).astype(np.float32),
        classes=recording.beat_classes.astype(np.int8),
        raw_samples=len(recording.signal_mv),
    )


def spread_out(count: int, limit: int) -> NDArray[np.int64]:
    """Choose up to `limit` of `count` positions, evenly spread; 0 means all.

    Returns:
        Increasing positions, shape [min(count, limit)]; the same for the same arguments.
    """
    if limit <= 0 or limit >= count:
        return np.arange(count, dtype=np.int64)
    return (np.arange(limit, dtype=np.int64) * count) // limit
