"""Starts and ends the run's processes in their hosts; each leads a session of its own, so that what it starts goes with it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emulator.backends.live.hooks.job import FOLDER_VARIABLE, NODE_VARIABLE


class Hosts:
    """The hosts of a network and what runs in them.

    Args:
        built: Mininet's network.
        folder: The run's live folder; logs go to ``logs`` in it.
        environment: Of every process.
    """

    def __init__(self, built: Any, folder: Path, environment: Mapping[str, str]) -> None:
        self._built = built
        self._folder = folder
        self._environment = dict(environment)
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        (folder / "logs").mkdir(parents=True, exist_ok=True)

    def process_of(self, host: str) -> int:
        """Return the process that holds a host's namespace."""
        return int(self._built[host].pid)

    def start(self, name: str, host: str, command: list[str]) -> subprocess.Popen[bytes]:
        """Start a command in a host under a name; its output goes to ``logs/<name>.log``."""
        with self.log(name).open("ab") as log:
            # mnexec enters the host's namespace and makes the process the leader of a new session
            process: subprocess.Popen[bytes] = self._built[host].popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, cwd=self._folder,
                env={**self._environment, FOLDER_VARIABLE: str(self._folder), NODE_VARIABLE: host},
            )  # fmt: skip
        self._running[name] = process
        return process

    def complete(self, name: str, host: str, command: list[str], limit_s: float) -> int | None:
        """Run a command to its end; return its exit status, or None where it took too long and was ended."""
        process = self.start(name, host, command)
        try:
            return process.wait(limit_s)
        except subprocess.TimeoutExpired:
            self.end(name, signal.SIGKILL)
            return None

    def is_running(self, name: str) -> bool:
        """Whether what was started under ``name`` still runs."""
        return name in self._running and self._running[name].poll() is None

    def status(self, name: str) -> int | None:
        """Return the exit status of what was started under ``name``; None while it runs."""
        return self._running[name].poll() if name in self._running else None

    def end(self, name: str, how: signal.Signals = signal.SIGKILL) -> None:
        """End what was started under ``name``, with all it has started."""
        process = self._running.get(name)
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, how)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)

    def forget(self, name: str) -> None:
        """Look no more at what was started under ``name``."""
        self._running.pop(name, None)

    def log(self, name: str) -> Path:
        """Return where the output of ``name`` goes."""
        return self._folder / "logs" / f"{name}.log"

    def last_words(self, name: str, characters: int = 1500) -> str:
        """Return the end of the output of ``name``."""
        path = self.log(name)
        return path.read_text(errors="replace")[-characters:] if path.exists() else ""


def wait_until(is_so: Any, limit_s: float, *, every_s: float = 0.05) -> bool:
    """Wait until ``is_so()``; return False where that took longer than ``limit_s``."""
    deadline_s = time.monotonic() + limit_s
    while not is_so():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(every_s)
    return True
