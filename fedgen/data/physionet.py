# SPDX-License-Identifier: Apache-2.0
"""MIT-BIH Arrhythmia Database 1.0.0 as PhysioNet publishes it: which files, from where, and are they intact.

Publisher: G. B. Moody, R. G. Mark, doi:10.13026/C2F305, Open Data Commons Attribution License 1.0.
"""

import hashlib
import logging
import os
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import BinaryIO

from fedgen.data.aami import PACED_RECORDS, TEST_PATIENTS, TRAIN_PATIENTS
from fedgen.errors import DataError

logger = logging.getLogger("fedgen")

DATABASE_URL = "https://physionet.org/files/mitdb/1.0.0/"
SUMS_FILE = "SHA256SUMS.txt"
SUFFIXES = (".atr", ".dat", ".hea")
ALL_RECORDS = tuple(sorted((*TRAIN_PATIENTS, *TEST_PATIENTS, *PACED_RECORDS, "202")))
PINNED_SUMS_DIGEST = "170ac7442934c30d61058394cd09a698996e00056d5f067ef62244fc1ea395fc"
"""SHA-256 of the 144 relevant lines of the published sums file: `hash name`, sorted by name, joined by
newlines. A sums file that was swapped together with the data does not match it."""

CONNECT_TIMEOUT_S = 30.0
CHUNK_BYTES = 1 << 18


def files_of(record: str) -> tuple[str, ...]:
    """Return the names of a record's annotation, signal and header file."""
    return tuple(record + suffix for suffix in SUFFIXES)


def missing_files(folder: Path, records: tuple[str, ...]) -> list[str]:
    """Return the names of wanted files that the folder lacks, the sums file among them."""
    wanted = [SUMS_FILE, *(name for record in records for name in files_of(record))]
    return [name for name in wanted if not (folder / name).is_file()]


def published_sums(folder: Path, pinned_digest: str = PINNED_SUMS_DIGEST) -> dict[str, str]:
    """Read the folder's sums file and check it against the digest pinned in this module.

    Args:
        folder: Folder with `SHA256SUMS.txt`.
        pinned_digest: What the relevant lines must hash to.

    Returns:
        SHA-256 by file name, for the files of all 48 records.

    Raises:
        DataError: The sums file is absent or is not the published one.
    """
    try:
        text = (folder / SUMS_FILE).read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"{folder / SUMS_FILE} cannot be read: {error}") from error
    wanted = {name for record in ALL_RECORDS for name in files_of(record)}
    pairs = [line.split() for line in text.splitlines() if len(line.split()) == 2]
    sums = {name: digest for digest, name in pairs if name in wanted}
    lines = "\n".join(f"{sums[name]} {name}" for name in sorted(sums))
    if hashlib.sha256(lines.encode()).hexdigest() != pinned_digest:
        raise DataError(
            f"{folder / SUMS_FILE} is not the sums file of MIT-BIH 1.0.0: delete the folder, or fetch the "
            f"data again from {DATABASE_URL}"
        )
    return sums


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify_record(folder: Path, record: str, sums: dict[str, str]) -> None:
    """Check a record's three files against the published sums.

    Raises:
        DataError: A file is absent or its content differs; names the file.
    """
    for name in files_of(record):
        path = folder / name
        if not path.is_file():
            raise DataError(f"{path} is missing")
        if sha256_of(path) != sums[name]:
            raise DataError(f"{path} is damaged or altered (its SHA-256 is not the published one): delete it")


def _fetch(url: str, path: Path, expected_sha256: str | None) -> None:
    """Download one file: into a temporary file, checked, then renamed into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    try:
        digest = hashlib.sha256()
        with os.fdopen(handle, "wb") as file, urllib.request.urlopen(url, timeout=CONNECT_TIMEOUT_S) as reply:
            _copy(reply, file, digest)
        if expected_sha256 is not None and digest.hexdigest() != expected_sha256:
            raise DataError(f"{url} arrived damaged (its SHA-256 is not the published one): try again")
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _copy(source: BinaryIO, target: BinaryIO, digest: "hashlib._Hash") -> None:
    """Copy a stream to its end, hashing what passes."""
    while chunk := source.read(CHUNK_BYTES):
        digest.update(chunk)
        target.write(chunk)


def download(
    folder: Path,
    records: tuple[str, ...],
    *,
    base_url: str = DATABASE_URL,
    pinned_digest: str = PINNED_SUMS_DIGEST,
) -> None:
    """Fetch records into a folder, with a progress bar; files already there and intact are kept.

    Each file appears under its name only when it is whole and its checksum is right, so an interrupted
    download goes on where it stopped, file by file.

    Args:
        folder: Where to put the files; created if absent.
        records: Names of the records.
        base_url: Address of the database, ending with a slash.
        pinned_digest: See `published_sums`.

    Raises:
        DataError: The server cannot be reached, lacks a file, or sends something else than was published.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    names = [name for record in records for name in files_of(record)]
    try:
        if not (folder / SUMS_FILE).is_file():
            _fetch(base_url + SUMS_FILE, folder / SUMS_FILE, None)
        sums = published_sums(folder, pinned_digest)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns) as progress:
            for name in progress.track(names, description="MIT-BIH from PhysioNet, files"):
                path = folder / name
                if not path.is_file() or sha256_of(path) != sums[name]:
                    _fetch(base_url + name, path, sums[name])
    except (urllib.error.URLError, OSError) as error:
        raise DataError(f"download from {base_url} failed: {error}") from error
    except DataError:
        # A wrong sums file would make every later try fail as well.
        if not _sums_are_published(folder, pinned_digest):
            (folder / SUMS_FILE).unlink(missing_ok=True)
        raise
    logger.info("MIT-BIH: %d files in %s", len(names), folder)


def _sums_are_published(folder: Path, pinned_digest: str) -> bool:
    try:
        published_sums(folder, pinned_digest)
    except DataError:
        return False
    return True
