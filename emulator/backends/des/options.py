"""How a run is carried out on this machine, and what it cost; neither changes the event log."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Status = Literal["finished", "interrupted", "failed"]


@dataclass(frozen=True)
class RunOptions:
    """How to carry out a run on this machine; none of it changes the event log.

    Attributes:
        folder: Run folder.
        workers: Worker processes for ClientApp calls.
        measured_in: Folder with measurements to replay, or None.
    """

    folder: Path
    workers: int
    measured_in: Path | None = None


@dataclass(frozen=True)
class HostCost:
    """CPU seconds the run cost this machine.

    Attributes:
        client_cpu_s: Inside ClientApp calls.
        server_cpu_s: Inside the ServerApp (aggregation and evaluation).
        client_calls: Number of calls computed (those taken from the journal not counted).
    """

    client_cpu_s: float = 0.0
    server_cpu_s: float = 0.0
    client_calls: int = 0
