# SPDX-License-Identifier: Apache-2.0
"""The data sources by name, and the one decision which of them a run uses."""

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from fedgen.data import aami, mitdb, physionet, simulated
from fedgen.data.cache import load_or_prepare
from fedgen.data.recording import Recording
from fedgen.data.windows import PreparedPatient, prepare
from fedgen.errors import ConfigError, DataError

logger = logging.getLogger("fedgen")


class DataSource(Protocol):
    """Patients for training and for the test, prepared on demand."""

    def train_patients(self, clients: int) -> tuple[str, ...]:
        """Name the patients to share out over that many clients."""
        ...

    def test_patients(self) -> tuple[str, ...]:
        """Name the patients that the server tests on."""
        ...

    def recording(self, patient: str) -> Recording:
        """Return one patient's raw signal and annotations."""
        ...

    def prepared(self, patient: str) -> PreparedPatient:
        """Return one patient's beats."""
        ...

    def digest(self) -> str:
        """Return what names the data themselves, wherever they lie: 64 hexadecimal digits."""
        ...


@dataclass(frozen=True)
class MitdbSource:
    """MIT-BIH records from a folder; which train and which test says the fold (`aami.FOLDS`)."""

    folder: Path
    sums: dict[str, str] = field(repr=False)
    fold: int = 1

    def train_patients(self, clients: int) -> tuple[str, ...]:
        """Return the fold's records to train on, whatever the number of clients."""
        return aami.FOLDS[self.fold][0]

    def test_patients(self) -> tuple[str, ...]:
        """Return the fold's records to test on."""
        return aami.FOLDS[self.fold][1]

    def recording(self, patient: str) -> Recording:
        """Read and check a record."""
        return mitdb.read_record(self.folder, patient, self.sums)

    def prepared(self, patient: str) -> PreparedPatient:
        """Read, check and prepare a record, or take it from the cache of records checked before."""
        return load_or_prepare(mitdb.record_digest(patient, self.sums), lambda: prepare(self.recording(patient)))

    def digest(self) -> str:
        """Return the SHA-256 over the published sums of all records used."""
        records = sorted(self.train_patients(1) + self.test_patients())
        return hashlib.sha256("\n".join(mitdb.record_digest(r, self.sums) for r in records).encode()).hexdigest()


@dataclass(frozen=True)
class SimulatedSource:
    """Simulated patients: as many as MIT-BIH has, more if there are more clients. In fold 2 the two groups change places."""

    seed: int
    fold: int = 1

    def train_patients(self, clients: int) -> tuple[str, ...]:
        """Return 22 names, or one per client if there are more clients."""
        group = "train" if self.fold == 1 else "test"
        return tuple(f"{group}-{i:04d}" for i in range(max(len(aami.TRAIN_PATIENTS), clients)))

    def test_patients(self) -> tuple[str, ...]:
        """Return 21 names, none of them among the train patients."""
        group = "test" if self.fold == 1 else "train"
        return tuple(f"{group}-{i:04d}" for i in range(len(aami.TEST_PATIENTS)))

    def recording(self, patient: str) -> Recording:
        """Simulate a patient."""
        return simulated.simulate(self.seed, patient)

    def prepared(self, patient: str) -> PreparedPatient:
        """Simulate and prepare a patient, or take it from the cache."""
        digest = f"simulated {simulated.SIMULATOR_VERSION} {self.seed} {patient}"
        return load_or_prepare(digest, lambda: prepare(self.recording(patient)))

    def digest(self) -> str:
        """Return the SHA-256 of the simulator's version and seed."""
        return hashlib.sha256(f"simulated {simulated.SIMULATOR_VERSION} {self.seed}".encode()).hexdigest()


def _open_mitdb(data_dir: str, seed: int, fold: int) -> DataSource:
    folder = mitdb.find_or_download(data_dir, fold=fold)
    return MitdbSource(folder, physionet.published_sums(folder), fold)


def _open_simulated(data_dir: str, seed: int, fold: int) -> DataSource:
    return SimulatedSource(seed, fold)


SOURCES: dict[str, Callable[[str, int, int], DataSource]] = {
    "mitdb": _open_mitdb,
    "simulated": _open_simulated,
}
"""Data source by the name that `data.source` takes; called with (data.dir, seed, data.fold)."""


def open_source(name: str, data_dir: str, seed: int, fold: int = 1) -> DataSource:
    """Open a data source.

    Args:
        name: A key of `SOURCES`.
        data_dir: Where to look for records; empty to search.
        seed: Seed of simulated patients; real ones do not depend on it.
        fold: Which patients train and which test.

    Returns:
        The source.

    Raises:
        ConfigError: There is no such source.
        DataError: The data cannot be had.
    """
    if name not in SOURCES:
        raise ConfigError(f"data.source is {name!r}; allowed: {', '.join(SOURCES)}")
    return SOURCES[name](data_dir, seed, fold)


def choose_source(
    name: str, otherwise: str, data_dir: str, seed: int, fold: int = 1
) -> tuple[str, DataSource, str | None]:
    """Decide once, on the server, which data the whole run uses.

    Args:
        name: The wanted source (`data.source`).
        otherwise: `none`, or the source to take when the wanted one cannot be had (`data.otherwise`).
        data_dir: Where to look for records.
        seed: Seed of simulated patients.
        fold: Which patients train and which test.

    Returns:
        Name of the source used, the source, and a notice for the user when it is not the wanted one.

    Raises:
        DataError: The wanted data cannot be had, and `otherwise` is `none` or a folder was named.
    """
    try:
        return name, open_source(name, data_dir, seed, fold), None
    except DataError as error:
        if otherwise in ("none", name) or data_dir:
            raise  # a folder that somebody has named is meant: other patients would not be what was asked for
        # The notice is the same on every machine; where was looked, and what failed, stands in the log.
        notice = (
            f"Data: {otherwise} patients instead of {name}, whose records are not here and could not be downloaded (the log "
            "says where was looked). Quality figures of this run say nothing about real patients."
        )
        logger.warning("%s %s", notice, error)
        return otherwise, open_source(otherwise, data_dir, seed, fold), notice
