"""Errors a user can meet, each with the exit code the command line gives it.

Every message says where the fault is, what was got, what is allowed and what to do.
"""

from __future__ import annotations

from dataclasses import dataclass


class EmulatorError(Exception):
    """Base of every error that is the user's to mend or to know; never a bug of ours."""

    exit_code: int = 4


class UsageError(EmulatorError):
    """The command line or a file named on it is wrong."""

    exit_code = 2


@dataclass(frozen=True, order=True)
class Fault:
    """One thing wrong in a scenario file.

    Attributes:
        file: Path as the user gave it, or a name such as ``--set``.
        line: 1-based line, 0 where there is none.
        key: Dotted key path, for example ``network.links[2].rate``.
        message: What was got, what is allowed, and the nearest name where there is one.
    """

    file: str
    line: int
    key: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.key}: {self.message}" if self.key else f"{place}: {self.message}"


class ScenarioError(UsageError):
    """A scenario cannot be run; carries every fault found, in order of file and line."""

    def __init__(self, faults: list[Fault] | tuple[Fault, ...]) -> None:
        self.faults = tuple(sorted(faults))
        count = len(self.faults)
        head = f"{count} fault{'s' if count != 1 else ''} in the scenario:"
        super().__init__("\n".join([head, *(f"  {fault}" for fault in self.faults)]))


class BackendUnavailable(EmulatorError):
    """This machine lacks what the chosen backend needs."""

    exit_code = 3


class RunFailed(EmulatorError):
    """The run started and could not go on; what was computed is kept in the run folder."""

    exit_code = 4


class Stalled(RunFailed):
    """The virtual clock can no longer move while the ServerApp waits for something."""


class ComparisonFailed(EmulatorError):
    """Two runs differ by more than the stated tolerance."""

    exit_code = 5


class Unfaithful(EmulatorError):
    """A live run whose figures say more about the machine than about the emulated network."""

    exit_code = 5
