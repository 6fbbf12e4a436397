# SPDX-License-Identifier: Apache-2.0
"""Prepared patients on disk, so that a device cleans its recordings once.

One `.npz` file (no pickle) per patient in the user's cache folder, named by a digest of the raw data's
checksums, the preparation parameters and the preparation version. Two processes may write the same file:
each writes a temporary file and renames it. A file that cannot be read is rebuilt, with a log line.
"""

import hashlib
import logging
import os
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from fedgen.data import preprocess, windows
from fedgen.data.windows import PreparedPatient

logger = logging.getLogger("fedgen")


def cache_folder() -> Path:
    """Return `$XDG_CACHE_HOME/fedgen`, or `~/.cache/fedgen`."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base else Path.home() / ".cache") / "fedgen"


def cache_key(source_digest: str) -> str:
    """Name prepared data by everything that it depends on.

    Args:
        source_digest: Says which raw data: file checksums, or the simulator's version, seed and patient.

    Returns:
        32 hexadecimal digits.
    """
    parts = (
        source_digest,
        windows.PREPARATION_VERSION,
        windows.MODEL_HZ,
        windows.SAMPLES_BEFORE_BEAT,
        windows.SAMPLES_AFTER_BEAT,
        windows.CALIBRATION_BEATS,
        windows.TEMPLATE_HEIGHT,
        windows.RHYTHM_MEMORY_BEATS,
        preprocess.QRS_MEDIAN_S,
        preprocess.T_WAVE_MEDIAN_S,
        preprocess.NOISE_CUTOFF_HZ,
        preprocess.NOISE_FILTER_ORDER,
        np.__version__,
    )
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def load(path: Path) -> PreparedPatient | None:
    """Read a prepared patient; None when there is none, or none that can be read."""
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as stored:
            return PreparedPatient(
                patient=str(stored["patient"]),
                beats=stored["beats"],
                template=stored["template"],
                rhythm=stored["rhythm"],
                classes=stored["classes"],
                raw_samples=int(stored["raw_samples"]),
            )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        logger.warning("Cached file %s cannot be read (%s): preparing it again", path.name, error)
        return None


def save(path: Path, prepared: PreparedPatient) -> None:
    """Write a prepared patient so that no other process ever sees half a file.

    A folder that cannot be written costs time on the next start, nothing else: it is logged.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.stem, suffix=".tmp")
        try:
            with os.fdopen(handle, "wb") as file:
                np.savez(file, allow_pickle=False, **vars(prepared))
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        logger.warning("Prepared data of patient %s is not cached: %s", prepared.patient, error)


PATIENTS_IN_MEMORY = 64
_in_memory: dict[Path, PreparedPatient] = {}


def load_or_prepare(source_digest: str, build: Callable[[], PreparedPatient]) -> PreparedPatient:
    """Return a prepared patient from memory, else from disk, else by building it.

    Args:
        source_digest: See `cache_key`.
        build: Prepares the patient; called only if neither memory nor disk has it.

    Returns:
        The prepared patient. Its arrays are shared: do not change them.
    """
    path = cache_folder() / "prepared" / f"{cache_key(source_digest)}.npz"
    if path not in _in_memory:
        prepared = load(path)
        if prepared is None:
            prepared = build()
            save(path, prepared)
        if len(_in_memory) >= PATIENTS_IN_MEMORY:
            # The oldest goes: a process that plays a thousand clients must not hold all their patients.
            del _in_memory[next(iter(_in_memory))]
        _in_memory[path] = prepared
    return _in_memory[path]
