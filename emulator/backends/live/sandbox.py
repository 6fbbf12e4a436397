"""The room a live run takes place in: namespaces for network, processes and mounts, which end with their first process.

Nothing of the run is visible outside, no name can clash with another run's, and ending process 1 of the sandbox ends
every process in it, and with them every device, bridge and address. Process 1 is this module: it starts the director,
waits for whatever ends, and leaves with the director's exit status.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from emulator.backends.live.doctor import sandbox_prefix
from emulator.backends.live.uml import uml_command


def sandbox_command(job: Path, kind: str, environment: Mapping[str, str]) -> list[str]:
    """Return the command that carries out a job in a new sandbox of a kind: ``namespaces`` or ``uml``.

    Without root the user becomes root of the sandbox only.
    """
    if kind == "uml":
        inner = [sys.executable, "-m", "emulator.backends.live.sandbox", str(job)]
        return uml_command(inner, job.parent / "uml.sh", environment)
    return [*sandbox_prefix(), sys.executable, "-m", "emulator.backends.live.sandbox", str(job)]


def main(job: str) -> int:
    """Start the director on ``job`` and reap everything until it ends; return its exit status."""
    director = os.fork()
    if director == 0:
        os.execv(sys.executable, [sys.executable, "-m", "emulator.backends.live.director", job])
    while True:
        process, status = os.wait()
        if process == director:
            return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    code = main(sys.argv[1])
    sys.exit(code if code >= 0 else 128 - code)
