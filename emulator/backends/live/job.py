"""What a live run is asked to do, as a file: it crosses from the emulator's process into the run's sandbox."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from emulator.backends.live.shaping import Shaper
from emulator.plan import Plan, plan_from_json

START_LIMIT_S: Final = 180.0
"""Python starts take seconds on a free machine, and far longer where many start at once."""


@dataclass(frozen=True)
class LiveJob:
    """See the module docstring.

    Attributes:
        folder: The run's folder for everything live (``RUN/live``).
        shaper: ``userspace`` or ``netem``.
        congestion_control: TCP's, for every connection of the run.
        for_s: The slice's length: the run ends then, whether the ServerApp has or not; None for no limit.
        with_captures: Keep a packet capture for every link.
        groups: Folders of the control groups that a host's ClientApps join.
        holds: Replies are held until the device would have them; else the control groups' CPU quota slows the work down.
        start_limit_s: How long anything may take to come up.
        lease_s: How long Flower waits for the first word of a process it has started; None for its own 30 s.
    """

    folder: str
    shaper: Shaper
    congestion_control: str = "cubic"
    for_s: float | None = None
    with_captures: bool = False
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    holds: bool = True
    start_limit_s: float = START_LIMIT_S
    lease_s: float | None = None

    @property
    def path(self) -> Path:
        """The run's live folder."""
        return Path(self.folder)

    @property
    def journals(self) -> Path:
        """Where every process writes what it saw."""
        return self.path / "journals"

    def write(self, plan: Plan) -> Path:
        """Write job and plan; return the job's file."""
        self.path.mkdir(parents=True, exist_ok=True)
        (self.path / "plan.json").write_text(json.dumps(plan.to_dict()))
        target = self.path / "job.json"
        target.write_text(json.dumps(asdict(self)))
        return target


def read_job(path: Path) -> tuple[LiveJob, Plan]:
    """Return what ``LiveJob.write`` wrote."""
    job = LiveJob(**json.loads(path.read_text()))
    return job, plan_from_json((job.path / "plan.json").read_bytes())
