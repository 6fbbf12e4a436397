"""The run folder: where everything about one run is kept, and how far it got."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from emulator.errors import UsageError
from emulator.plan import Plan, plan_from_json

PACKAGES = ("fedgen", "flwr", "simpy", "torch", "numpy", "pandas", "pyarrow", "networkx", "wfdb", "opacus", "tenseal")


@dataclass(frozen=True)
class RunFolder:
    """Paths inside one run folder."""

    path: Path

    @property
    def scenario(self) -> Path:
        """The resolved scenario; running it repeats the run."""
        return self.path / "scenario.yaml"

    @property
    def plan(self) -> Path:
        """The plan as JSON."""
        return self.path / "plan.json"

    @property
    def events(self) -> Path:
        """Folder of the event log's parts."""
        return self.path / "events"

    @property
    def summary(self) -> Path:
        """Key figures as JSON."""
        return self.path / "summary.json"

    @property
    def report(self) -> Path:
        """The report."""
        return self.path / "report.html"

    def write_status(self, state: str, **facts: Any) -> None:
        """Write how far the run got: ``interrupted`` from its first moment, so that a killed run says so too."""
        text = json.dumps({"state": state, "pid": os.getpid(), **facts}, indent=2) + "\n"
        partial = self.path / "status.json.partial"
        partial.write_text(text)
        partial.replace(self.path / "status.json")

    def read_status(self) -> dict[str, Any]:
        """Return what ``write_status`` wrote.

        Raises:
            UsageError: This is not a run folder.
        """
        path = self.path / "status.json"
        if not path.is_file():
            raise UsageError(f"{self.path} is not a run folder: it has no status.json; give results/<scenario>/<run>")
        try:
            return dict(json.loads(path.read_text()))
        except (ValueError, TypeError) as error:
            raise UsageError(f"{path} is damaged: {error}") from error

    def read_plan(self) -> Plan:
        """Return the plan of the run.

        Raises:
            UsageError: The file is missing or damaged.
        """
        try:
            return plan_from_json(self.plan.read_bytes())
        except (OSError, ValueError) as error:
            raise UsageError(f"{self.plan} is missing or damaged: {error}") from error

    def is_running(self) -> bool:
        """Whether the process that wrote the status is still alive and the run unfinished."""
        status = self.read_status()
        if status["state"] != "interrupted" or status["pid"] == os.getpid() or status.get("ended"):
            return False
        try:
            os.kill(status["pid"], 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True


def new_run_folder(out: Path, scenario: str, run: str | None) -> RunFolder:
    """Make ``out/scenario/run``; without a name, the next free number.

    Raises:
        UsageError: The folder exists already, or cannot be made.
    """
    parent = out / scenario
    try:
        parent.mkdir(parents=True, exist_ok=True)
        if run is not None:
            (parent / run).mkdir()
            return RunFolder(parent / run)
        number = 1 + max((int(path.name) for path in parent.iterdir() if path.name.isdigit()), default=0)
        while True:
            try:
                (parent / f"{number:03d}").mkdir()
                return RunFolder(parent / f"{number:03d}")
            except FileExistsError:  # another run took it in this moment
                number += 1
    except FileExistsError:
        raise UsageError(f"{parent / str(run)} exists already; give another --run, or remove it") from None
    except OSError as error:
        raise UsageError(f"cannot make a run folder in {parent}: {error.strerror}; give another --out") from error


def environment() -> dict[str, Any]:
    """Return what the run ran on, for the record: versions and machine, no names of people or paths."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
    }


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
