"""Real limits for a live run's ClientApps: memory, and on request CPU, by control groups of version 1 or 2.

A ClientApp joins its node's groups when it starts; SuperNodes, and what else the run has, stay outside. Groups are made
below the one this process is in, under a name of the run's own, and removed by that name.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from emulator.errors import BackendUnavailable

ROOT: Final = Path("/sys/fs/cgroup")
MEMBERSHIP: Final = Path("/proc/self/cgroup")
CONTROLLERS: Final = ("cpu", "memory")
SHORTEST_PERIOD_S: Final = 0.01
LEAST_QUOTA_S: Final = 0.001
"""The kernel's least quota; smaller shares get a longer period."""
EMPTY_WITHIN_S: Final = 5.0


@dataclass(frozen=True)
class Limits:
    """What a node's ClientApp may use: cores' worth of CPU time and bytes of memory; None for no limit."""

    cores: float | None = None
    memory_bytes: float | None = None


@dataclass(frozen=True)
class Place:
    """A folder in which groups can be made, and the version of what it holds."""

    folder: Path
    version: int


def places() -> dict[str, Place]:
    """Return where groups of each controller can be made; without those where this process may not."""
    found = {name: _own(name) for name in CONTROLLERS}
    return {name: place for name, place in found.items() if place is not None and _is_writable(name, place)}


def make_groups(name: str, limits: Mapping[str, Limits], where: Mapping[str, Place]) -> dict[str, tuple[str, ...]]:
    """Make a group for each key of ``limits``; return the folders its processes have to join.

    Args:
        name: Of the run, unlike any other's.
        limits: By host.
        where: From ``places``.
    """
    joined: dict[str, tuple[str, ...]] = {}
    for host, limit in limits.items():
        folders: dict[str, None] = {}
        for controller, place in where.items():
            folder = place.folder / name / host
            if not folder.exists():
                folder.mkdir(parents=True)
                if place.version == 2:
                    (folder.parent / "cgroup.subtree_control").write_text("+cpu +memory")
            folders[str(folder)] = None
            for file, value in _settings(controller, place.version, limit).items():
                if (folder / file).exists():
                    (folder / file).write_text(value)
        joined[host] = tuple(folders)
    return joined


def bind_groups(groups: Mapping[str, tuple[str, ...]], target: Path) -> dict[str, tuple[str, ...]]:
    """Show groups below ``target`` in this mount namespace, and return them there: hosts get a ``/sys`` without control groups.

    Raises:
        BackendUnavailable: The kernel refuses the mount.
    """
    shown: dict[str, str] = {}
    for folder in sorted({str(Path(folder).parent) for each in groups.values() for folder in each}):
        place = target / str(len(shown))
        place.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(["mount", "--bind", folder, str(place)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise BackendUnavailable(f"the run's control groups cannot be shown to its hosts: {done.stderr.strip()}")
        shown[folder] = str(place)
    return {
        host: tuple(str(Path(shown[str(Path(folder).parent)]) / Path(folder).name) for folder in each)
        for host, each in groups.items()
    }


def join(folders: Iterable[str]) -> None:
    """Put this process into groups; what it starts from here on is in them too."""
    for folder in folders:
        (Path(folder) / "cgroup.procs").write_text("0")


def kills(folders: Iterable[str]) -> int:
    """Return how many processes the kernel has ended in groups because their memory was over."""
    return sum(_figure(Path(folder) / file, "oom_kill") for folder in folders for file in _KILLS)


def throttled(folder: Path) -> int:
    """Return how often processes of a group had to wait for their CPU quota."""
    return _figure(folder / "cpu.stat", "nr_throttled")


def own_folder() -> Path | None:
    """Return the group this process is in as far as CPU time goes; None where there is none."""
    place = _own("cpu")
    return None if place is None else place.folder


def remove_groups(name: str, folders: Iterable[str]) -> None:
    """Remove a run's groups once their processes have ended."""
    for folder in map(Path, folders):
        until_s = time.monotonic() + EMPTY_WITHIN_S
        while folder.exists() and time.monotonic() < until_s:
            try:
                folder.rmdir()
            except OSError:  # processes that were killed are still ending
                time.sleep(0.02)
        if folder.parent.name == name:
            with contextlib.suppress(OSError):
                folder.parent.rmdir()


def quota(cores: float) -> tuple[float, float]:
    """Return quota and period in seconds for a share of CPU time, the period as short as the kernel allows."""
    period_s = max(SHORTEST_PERIOD_S, LEAST_QUOTA_S / cores)
    return cores * period_s, period_s


_KILLS: Final = ("memory.oom_control", "memory.events")


def _settings(controller: str, version: int, limit: Limits) -> dict[str, str]:
    if controller == "cpu" and limit.cores is not None:
        quota_us, period_us = (str(round(1e6 * part)) for part in quota(limit.cores))
        if version == 2:
            return {"cpu.max": f"{quota_us} {period_us}"}
        return {"cpu.cfs_period_us": period_us, "cpu.cfs_quota_us": quota_us}
    if controller == "memory" and limit.memory_bytes is not None:
        count = str(round(limit.memory_bytes))
        if version == 2:
            return {"memory.max": count, "memory.swap.max": "0"}
        return {"memory.limit_in_bytes": count, "memory.memsw.limit_in_bytes": count}
    return {}


def _own(controller: str) -> Place | None:
    """Return the group that holds this process, of the version that has the controller."""
    place = None
    for line in MEMBERSHIP.read_text().splitlines() if MEMBERSHIP.exists() else ():
        _, names, path = line.split(":", 2)
        if controller in names.split(","):
            return Place(_existing(ROOT / names, path), 1)
        folder = _existing(ROOT, path)
        if not names and controller in _words(folder / "cgroup.controllers"):
            place = Place(folder, 2)
    return place


def _existing(root: Path, path: str) -> Path:
    """Return the folder of a group; in a container the path may be that of another namespace, and the root is all there is."""
    folder = root / path.lstrip("/")
    return folder if folder.is_dir() else root


def _is_writable(controller: str, place: Place) -> bool:
    probe = place.folder / f"emulate-probe-{os.getpid()}"
    try:
        if place.version == 2 and controller not in _words(place.folder / "cgroup.subtree_control"):
            (place.folder / "cgroup.subtree_control").write_text(f"+{controller}")
        probe.mkdir()
        probe.rmdir()
    except OSError:
        return False
    return True


def _words(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


def _figure(path: Path, name: str) -> int:
    """Return a figure of a file of ``name value`` lines; 0 where there is none."""
    if not path.exists():
        return 0
    return next((int(line.split()[1]) for line in path.read_text().splitlines() if line.split()[0] == name), 0)
