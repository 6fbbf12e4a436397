"""The journal of ClientApp calls: what an interrupted or repeated run need not compute again.

Every finished call is appended to one file in the run folder. A resumed run starts its ServerApp anew in virtual time and takes
the replies from here, so that it reaches the point of interruption with the very same event log. Calls of apps that report
no work keep their measured CPU seconds here too, which makes a rerun's virtual times those of the first run.
A record is a JSON header line, then the reply and the state as raw bytes; a torn last record is ignored.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from emulator.flower.adapter import ObjectSizes
from emulator.flower.worker import Job, Outcome


def job_digest(job: Job) -> str:
    """Return the SHA-256 over everything a call depends on."""
    digest = hashlib.sha256()
    for part in (job.key.encode(), str(job.seed).encode(), job.message, job.state):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()


class Journal:
    """Calls of one run, kept in ``path``; ``Journal(None)`` remembers nothing."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file: IO[bytes] | None = None
        self._index: dict[str, tuple[dict[str, Any], int]] = {}
        if path is not None and path.exists():
            end = 0
            for header, offset in _scan(path):
                self._index[header["key"]] = (header, offset)
                end = offset + header["reply_size"] + header["state_size"]
            with path.open("r+b") as file:
                file.truncate(end)

    def __len__(self) -> int:
        return len(self._index)

    def find(self, job: Job) -> Outcome | None:
        """Return the remembered outcome of exactly this call, or None."""
        entry = self._index.get(job.key)
        if entry is None or self._path is None or entry[0]["digest"] != job_digest(job):
            return None
        header, offset = entry
        with self._path.open("rb") as file:
            file.seek(offset)
            reply = file.read(header["reply_size"])
            state = file.read(header["state_size"])
        fields = {name: header[name] for name in _PLAIN}
        objects, total_bytes, parts = fields.pop("sizes")
        fields["sizes"] = ObjectSizes(objects, total_bytes, tuple(parts))
        return Outcome(reply=reply, state=state, **fields)

    def remember(self, job: Job, outcome: Outcome) -> None:
        """Append a finished call."""
        if self._path is None:
            return
        if self._file is None:
            self._file = self._path.open("ab")
        header = {
            "key": job.key,
            "digest": job_digest(job),
            "reply_size": len(outcome.reply),
            "state_size": len(outcome.state),
            **{name: getattr(outcome, name) for name in _PLAIN},
        }
        self._file.write(json.dumps(header).encode() + b"\n" + outcome.reply + outcome.state)
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def discard(self) -> None:
        """Close and remove the file: the run is finished."""
        self.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)


_PLAIN = ("sizes", "work", "cpu_s", "peak_bytes", "error", "metrics", "slept_s")


def _scan(path: Path) -> Iterator[tuple[dict[str, Any], int]]:
    """Yield (header, offset of the payload) of every whole record."""
    size = path.stat().st_size
    with path.open("rb") as file:
        while line := file.readline():
            try:
                header = json.loads(line)
                length = header["reply_size"] + header["state_size"]
            except (ValueError, KeyError, TypeError):
                return
            offset = file.tell()
            if offset + length > size:
                return
            yield header, offset
            file.seek(offset + length)
