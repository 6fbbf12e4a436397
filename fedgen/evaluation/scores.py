# SPDX-License-Identifier: Apache-2.0
"""How abnormal a beat is: its shape as the model sees it, and how early it comes."""

import numpy as np
import torch
from numpy.typing import NDArray

from fedgen.data.windows import CALIBRATION_BEATS, PreparedPatient
from fedgen.models.base import AnomalyModel, batch_of

SCORING_BATCH = 1024
PREMATURITY_WEIGHT = 5.0
PAUSE_WEIGHT = 2.0
SMALLEST_ERROR = 1e-6


def reconstruction_errors(model: AnomalyModel, patient: PreparedPatient) -> NDArray[np.float64]:
    """Return the model's error on each beat, shape [beats]."""
    batch = batch_of(patient)
    with torch.no_grad():
        parts = [
            model.errors(batch.rows(slice(start, start + SCORING_BATCH)))
            for start in range(0, len(batch), SCORING_BATCH)
        ]
    return torch.cat(parts).numpy().astype(np.float64)


def scoring_batches(patients: list[PreparedPatient]) -> int:
    """Return in how many batches the beats of these patients are scored."""
    return sum(-(-len(patient.classes) // SCORING_BATCH) for patient in patients)


def usual_error(errors: NDArray[np.float64]) -> float:
    """Return the median of one patient's first 300 errors, in order of time."""
    return float(np.median(np.maximum(errors, SMALLEST_ERROR)[:CALIBRATION_BEATS]))


def anomaly_scores(
    errors: NDArray[np.float64], rhythm: NDArray[np.float32], usual: float | None = None
) -> NDArray[np.float64]:
    """Turn one patient's errors and rhythm into scores that can be compared between patients.

    score = log(e / m) + 5 max(0, -log(RR / U)) + 2 max(0, log(RR+ / U))

    with e the model's error on the beat, m the median error over the patient's first 300 scored beats
    (unlabelled, about five minutes, as for the template), RR and RR+ the intervals before and after the
    beat, U the usual interval. The rhythm terms are the negative log likelihoods, up to constants, of
    one-sided Laplace laws with scales 1/5 and 1/2: a beat that comes early, and a pause after it, speak for
    a premature beat. A late beat and a short interval after it do not: they belong to its neighbours.
    The weights were chosen by validation inside DS1.

    Args:
        errors: Errors of one patient's beats in order of time, shape [beats].
        rhythm: Rhythm features of the same beats, shape [beats, 3].
        usual: m, if it is known from other beats of the patient.

    Returns:
        Shape [beats], no unit; a usual beat is near 0.
    """
    safe = np.maximum(errors, SMALLEST_ERROR)
    usual = usual_error(errors) if usual is None else usual
    before, after = rhythm[:, 0].astype(np.float64), rhythm[:, 1].astype(np.float64)
    prematurity = PREMATURITY_WEIGHT * np.maximum(0.0, -before)
    return np.log(safe / usual) + prematurity + PAUSE_WEIGHT * np.maximum(0.0, after)
