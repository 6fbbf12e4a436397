# SPDX-License-Identifier: Apache-2.0
"""How abnormal a beat is: its shape as the model sees it, and how early it comes."""

import numpy as np
import torch
from numpy.typing import NDArray

from fedgen.data.windows import CALIBRATION_BEATS, PreparedPatient
from fedgen.models.base import AnomalyModel, batch_of

SCORING_BATCH = 1024
PREMATURITY_WEIGHT = 8.0
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


def anomaly_scores(errors: NDArray[np.float64], rhythm: NDArray[np.float32]) -> NDArray[np.float64]:
    """Turn one patient's errors and rhythm into scores that can be compared between patients.

    score = log(e / m) + 8 max(0, -log(RR / U)), with e the model's error on the beat, m the median error
    over the patient's first 300 beats (unlabelled, about five minutes, as for the template), RR the
    interval before the beat and U the usual interval. The second term is the negative log likelihood,
    up to a constant, of an interval under a one-sided Laplace law with scale 1/8 on log(RR / U); it
    counts early beats only, since late ones follow pauses. Its weight was chosen by validation inside DS1.

    Args:
        errors: Errors of one patient's beats in order of time, shape [beats].
        rhythm: Rhythm features of the same beats, shape [beats, 3].

    Returns:
        Shape [beats], no unit; a usual beat is near 0.
    """
    safe = np.maximum(errors, SMALLEST_ERROR)
    usual = float(np.median(safe[:CALIBRATION_BEATS]))
    return np.log(safe / usual) + PREMATURITY_WEIGHT * np.maximum(0.0, -rhythm[:, 0].astype(np.float64))
