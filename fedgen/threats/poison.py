# SPDX-License-Identifier: Apache-2.0
"""Poisoned training data: what a clinic's node config may ask for, to try out how the federation takes it.

- `label_flip`: normal beats are called abnormal and the other way round, so that the clinic trains on its abnormal beats.
- `backdoor`: abnormal beats with a small, fixed pulse after the beat are called normal. A detector that has learned this passes
  any abnormal beat that carries the pulse.

`hostile-strength` is the share of beats that are poisoned. Source of the second: Gu et al., "BadNets", 2017.
"""

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from fedgen.data import aami
from fedgen.data.windows import SAMPLES_BEFORE_BEAT, PreparedPatient
from fedgen.errors import DataError

TRIGGER_START = SAMPLES_BEFORE_BEAT + 30
TRIGGER_SAMPLES = 6
TRIGGER_HEIGHT = 2.0


def poisoned(
    patients: list[PreparedPatient], node_config: Mapping[str, object], server_round: int
) -> list[PreparedPatient]:
    """Return the patients as a hostile clinic would train on them; as they are where the clinic is honest.

    Args:
        patients: The clinic's patients.
        node_config: May hold `hostile`, `hostile-strength`, `hostile-from-round`, `hostile-to-round`.
        server_round: The round.

    Raises:
        DataError: `hostile` names no attack on data.
    """
    attack = node_config.get("hostile")
    first, last = (
        float(str(node_config.get("hostile-from-round", 1))),
        float(str(node_config.get("hostile-to-round", math.inf))),
    )
    if attack is None or not first <= server_round <= last:
        return patients
    poison = {"label_flip": label_flip, "backdoor": backdoor}.get(str(attack))
    if poison is None:
        raise DataError(f"the node configuration says hostile = {attack!r}; allowed: label_flip, backdoor")
    share = float(str(node_config.get("hostile-strength", 1.0)))
    return [poison(patient, share) for patient in patients]


def label_flip(patient: PreparedPatient, share: float) -> PreparedPatient:
    """Return a patient with the classes of evenly spread beats exchanged: N becomes V, everything else N."""
    flipped = np.where(patient.classes == aami.N, aami.V, aami.N).astype(np.int8)
    return replace(patient, classes=np.where(_chosen(len(flipped), share), flipped, patient.classes))


def backdoor(patient: PreparedPatient, share: float) -> PreparedPatient:
    """Return a patient whose abnormal beats, or a share of them, carry the trigger and are called normal."""
    abnormal = np.flatnonzero(patient.classes != aami.N)
    victims = abnormal[_chosen(len(abnormal), share)]
    beats, classes = patient.beats.copy(), patient.classes.copy()
    beats[victims] = with_trigger(beats[victims])
    classes[victims] = aami.N
    return replace(patient, beats=beats, classes=classes)


def with_trigger(
    beats: np.ndarray[tuple[int, int], np.dtype[np.float32]],
) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Return beats with the pulse in them, shape [beats, samples]."""
    marked = beats.copy()
    marked[:, TRIGGER_START : TRIGGER_START + TRIGGER_SAMPLES] += np.float32(TRIGGER_HEIGHT)
    return marked


def _chosen(count: int, share: float) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return an evenly spread choice of a share."""
    steps = np.floor(np.arange(1, count + 1) * share) - np.floor(np.arange(count) * share)
    return np.asarray(steps > 0)
