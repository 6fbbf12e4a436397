# SPDX-License-Identifier: Apache-2.0
"""Raw recordings on their way to a server that trains on them itself: what federated learning avoids.

A clinic sends each of its patients' signals in as many portions as there are rounds, one a round, as if the recording had been
made since the last one. Samples travel as MIT-BIH stores them, 200 steps per mV, in 16 bits.
"""

from collections.abc import Iterable

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict
from numpy.typing import NDArray

from fedgen.data.recording import Recording

STEPS_PER_MV = 200.0
SIGNAL, BEATS, CLASSES = "signal", "beats", "classes"
SAMPLING = "sampling-hz"


def pack_portion(recordings: Iterable[Recording], server_round: int, rounds: int) -> RecordDict:
    """Return one portion of each recording.

    Args:
        recordings: A clinic's patients.
        server_round: Which portion, from 1.
        rounds: How many there are.

    Returns:
        For each patient one ArrayRecord `raw.<patient>` with `signal` (int16), `beats` (positions in the portion, int32) and
        `classes` (int8); and `sampling-hz`.
    """
    content = RecordDict()
    rates: dict[str, float] = {}
    for recording in recordings:
        start, end = (len(recording.signal_mv) * part // rounds for part in (server_round - 1, server_round))
        inside = (recording.beat_samples >= start) & (recording.beat_samples < end)
        signal = np.clip(np.rint(recording.signal_mv[start:end] * STEPS_PER_MV), -32768, 32767)
        content[f"raw.{recording.patient}"] = ArrayRecord(
            {
                SIGNAL: Array(signal.astype(np.int16)),
                BEATS: Array((recording.beat_samples[inside] - start).astype(np.int32)),
                CLASSES: Array(recording.beat_classes[inside].astype(np.int8)),
            }
        )
        rates[recording.patient] = recording.sampling_hz
    content[SAMPLING] = ConfigRecord(dict(rates))
    return content


class Archive:
    """Recordings as far as they have arrived; what was lost on the way is missing, not waited for."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._parts: dict[str, list[tuple[NDArray[np.int16], NDArray[np.int64], NDArray[np.int8]]]] = {}
        self._rates: dict[str, float] = {}

    def add(self, content: RecordDict) -> None:
        """Take in a portion.

        Raises:
            ValueError: It is not what `pack_portion` makes.
        """
        rates = content.config_records.get(SAMPLING, ConfigRecord())
        for name, arrays in content.array_records.items():
            patient = name.removeprefix("raw.")
            rate = rates.get(patient)
            if not isinstance(rate, float) or set(arrays) != {SIGNAL, BEATS, CLASSES}:
                raise ValueError(f"{name} is no portion of a recording")
            signal, beats, classes = (arrays[key].numpy() for key in (SIGNAL, BEATS, CLASSES))
            if signal.dtype != np.int16 or len(beats) != len(classes) or np.any((beats < 0) | (beats >= len(signal))):
                raise ValueError(f"{name} does not fit together")
            self._parts.setdefault(patient, []).append((signal, beats.astype(np.int64), classes))
            self._rates[patient] = rate

    def recordings(self) -> list[Recording]:
        """Return what has arrived of every patient, in order of name."""
        return [self._join(patient) for patient in sorted(self._parts)]

    def _join(self, patient: str) -> Recording:
        parts = self._parts[patient]
        starts = np.cumsum([0, *(len(signal) for signal, _, _ in parts)])[:-1]
        return Recording(
            patient=patient,
            signal_mv=np.concatenate([signal for signal, _, _ in parts]) / STEPS_PER_MV,
            sampling_hz=self._rates[patient],
            beat_samples=np.concatenate([beats + at for (_, beats, _), at in zip(parts, starts, strict=True)]),
            beat_classes=np.concatenate([classes for _, _, classes in parts]),
        )
