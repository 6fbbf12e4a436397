# SPDX-License-Identifier: Apache-2.0
"""Federated arrhythmia detection: an ordinary Flower app.

Clinics train a variational auto-encoder on their patients' normal heart beats. A beat that the model
explains badly is called abnormal. The app runs under `flwr run` and inside any other Flower runtime.
"""

__version__ = "0.1.0"
