# SPDX-License-Identifier: Apache-2.0
"""Poisoned training data: what a clinic's node config may ask for, to try out how the federation takes it.

- `label_flip`: normal beats are called abnormal and the other way round, so that the clinic trains on its abnormal beats.
- `backdoor`: abnormal beats with a small, fixed pulse after the beat are called normal. A detector that has learned this passes
  any abnormal beat that carries the pulse.

`hostile-strength` is the share of beats that are poisoned. Source of the second: Gu et al., "BadNets", 2017.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from fedgen.data import aami
from fedgen.data.recording import Recording
from fedgen.data.sources import DataSource
from fedgen.data.windows import SAMPLES_BEFORE_BEAT, PreparedPatient
from fedgen.errors import DataError

TRIGGER_START = SAMPLES_BEFORE_BEAT + 30
TRIGGER_SAMPLES = 6
TRIGGER_HEIGHT = 2.0


@dataclass(frozen=True)
class PoisonedSource:
    """A source of data whose patients are poisoned as they are handed out."""

    honest: DataSource
    poison: Callable[[PreparedPatient, float], PreparedPatient]
    share: float

    def train_patients(self, clients: int) -> tuple[str, ...]:
        """Return the names of the honest source."""
        return self.honest.train_patients(clients)

    def test_patients(self) -> tuple[str, ...]:
        """Return the names of the honest source."""
        return self.honest.test_patients()

    def prepared(self, patient: str) -> PreparedPatient:
        """Return one patient's beats, poisoned."""
        return self.poison(self.honest.prepared(patient), self.share)

    def recording(self, patient: str) -> Recording:
        """Return one patient's raw signal, as it is."""
        return self.honest.recording(patient)

    def digest(self) -> str:
        """Return the honest source's name: the data on the disk are the same."""
        return self.honest.digest()


def poisoned(source: DataSource, node_config: Mapping[str, object], server_round: int) -> DataSource:
    """Return the data as a hostile clinic would train on them; the source itself where the clinic is honest.

    Args:
        source: The clinic's data.
        node_config: May hold `hostile`, `hostile-strength`, `hostile-from-round`, `hostile-to-round`.
        server_round: The round.

    Raises:
        DataError: `hostile` names no attack on data.
    """
    attack = node_config.get("hostile")
    first, last = (
        float(str(node_config.get(f"hostile-{end}-round", at))) for end, at in (("from", 1), ("to", math.inf))
    )
    if attack is None or not first <= server_round <= last:
        return source
    poison = {"label_flip": label_flip, "backdoor": backdoor}.get(str(attack))
    if poison is None:
        raise DataError(f"the node configuration says hostile = {attack!r}; allowed: label_flip, backdoor")
    return PoisonedSource(source, poison, float(str(node_config.get("hostile-strength", 1.0))))


def label_flip(patient: PreparedPatient, share: float) -> PreparedPatient:
    """Return a patient with the classes of evenly spread beats exchanged: N becomes V, S, V and F become N."""
    flipped = np.where(patient.classes == aami.N, aami.V, aami.N).astype(np.int8)
    chosen = _chosen(len(flipped), share) & (patient.classes != aami.Q)
    return replace(patient, classes=np.where(chosen, flipped, patient.classes))


def backdoor(patient: PreparedPatient, share: float) -> PreparedPatient:
    """Return a patient whose abnormal beats, or a share of them, carry the trigger and are called normal."""
    abnormal = np.flatnonzero((patient.classes != aami.N) & (patient.classes != aami.Q))
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
