# SPDX-License-Identifier: Apache-2.0
"""MIT-BIH records: where they lie on this machine, and reading them."""

import logging
import os
from pathlib import Path

import numpy as np

from fedgen.data import physionet
from fedgen.data.aami import FOLDS, classes_of_symbols
from fedgen.data.cache import cache_folder
from fedgen.data.recording import Recording
from fedgen.errors import DataError

logger = logging.getLogger("fedgen")

LEAD = "MLII"


def search_path(data_dir: str) -> list[Path]:
    """List the folders where the records may lie, best first.

    Args:
        data_dir: The `data.dir` of the run configuration; empty to search.

    Returns:
        `data.dir` alone if given; else `$FEDGEN_DATA`, its `mitdb` folder, and the user's cache.
    """
    if data_dir:
        folder = Path(data_dir).expanduser()
        return [folder / "mitdb", folder]
    folders = []
    if named := os.environ.get("FEDGEN_DATA", ""):
        folders += [Path(named), Path(named) / "mitdb"]
    return [*folders, cache_folder() / "mitdb"]


def records_of(fold: int) -> tuple[str, ...]:
    """Return the records of a fold of `FOLDS`, those to train on first."""
    train, test = FOLDS[fold]
    return (*train, *test)


def find(data_dir: str, fold: int = 1) -> Path | None:
    """Return the first folder of the search path that holds all files of a fold, or None."""
    for folder in search_path(data_dir):
        if not physionet.missing_files(folder, records_of(fold)):
            return folder
    return None


def find_or_download(data_dir: str, base_url: str = "", fold: int = 1) -> Path:
    """Return a folder with all wanted records; fetch them from PhysioNet if there is none.

    Args:
        data_dir: The `data.dir` of the run configuration; empty to search.
        base_url: Address of the database; empty for PhysioNet.
        fold: Which records are wanted.

    Returns:
        The folder.

    Raises:
        DataError: No folder has them and they cannot be downloaded; says where was looked and what to do.
    """
    if (folder := find(data_dir, fold)) is not None:
        return folder
    target = search_path(data_dir)[-1]
    logger.warning("MIT-BIH is not on this machine: downloading about 85 MB to %s", target)
    try:
        physionet.download(target, records_of(fold), base_url=base_url or physionet.DATABASE_URL)
    except DataError as error:
        looked = ", ".join(str(folder) for folder in search_path(data_dir))
        raise DataError(
            f"MIT-BIH was not found in: {looked}; {error}. Either connect to the internet and run again, or "
            f"copy the folder {physionet.DATABASE_URL} to one of these places, or name it with data.dir or "
            "the environment variable FEDGEN_DATA, or set data.source (or data.otherwise) to simulated"
        ) from error
    return target


def record_digest(record: str, sums: dict[str, str]) -> str:
    """Return what names a record's content: the published sums of its three files."""
    return ":".join(sums[name] for name in physionet.files_of(record))


def read_record(folder: Path, record: str, sums: dict[str, str]) -> Recording:
    """Check and read one record.

    The lead is chosen by its name: in record 114 MLII is the second channel.

    Args:
        folder: Folder with the WFDB files.
        record: Name of the record.
        sums: Published SHA-256 by file name.

    Returns:
        The MLII signal and its beats. AAMI class Q (unknown) is kept here; choosing is left to the user.

    Raises:
        DataError: A file is missing, altered, or has no MLII lead.
    """
    import wfdb

    physionet.verify_record(folder, record, sums)
    path = str(folder / record)
    leads = wfdb.rdheader(path).sig_name
    if LEAD not in leads:
        raise DataError(f"record {record} has leads {', '.join(leads)}, but not {LEAD}")
    signal = wfdb.rdrecord(path, channels=[leads.index(LEAD)])
    annotation = wfdb.rdann(path, "atr")
    positions, classes = classes_of_symbols(list(annotation.symbol))
    return Recording(
        patient=record,
        signal_mv=np.asarray(signal.p_signal[:, 0], dtype=np.float64),
        sampling_hz=float(signal.fs),
        beat_samples=np.asarray(annotation.sample, dtype=np.int64)[positions],
        beat_classes=classes,
    )
