# SPDX-License-Identifier: Apache-2.0
"""What every data source gives: one patient's raw signal with its beats."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Recording:
    """One patient's single-lead ECG.

    Attributes:
        patient: Name of the patient (the record name).
        signal_mv: Raw signal, shape [samples], millivolt.
        sampling_hz: Samples per second.
        beat_samples: Position of each beat in the signal, shape [beats], increasing.
        beat_classes: AAMI class code of each beat (see `fedgen.data.aami`), shape [beats].
    """

    patient: str
    signal_mv: NDArray[np.float64]
    sampling_hz: float
    beat_samples: NDArray[np.int64]
    beat_classes: NDArray[np.int8]

    def __post_init__(self) -> None:
        """Refuse arrays that do not fit together."""
        if self.beat_samples.shape != self.beat_classes.shape:
            raise ValueError(f"patient {self.patient}: one class per beat is needed")
        if np.any(np.diff(self.beat_samples) <= 0):
            raise ValueError(f"patient {self.patient}: beats must be in order of time")
