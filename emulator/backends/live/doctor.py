"""What this machine can do for a live run, and what to install where it cannot."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from emulator.backends.live.cgroups import CONTROLLERS, places
from emulator.backends.live.commands import NEEDED
from emulator.backends.live.shaping import Shaper

NAMESPACES: Final = "right to make network namespaces"
LEAST_DISK_BYTES: Final = 200 * 1024**2
_PATH: Final = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
_PACKAGES: Final = {
    "ip": "iproute2", "tc": "iproute2", "mnexec": "mininet", "unshare": "util-linux", "brctl": "bridge-utils",
    "ethtool": "ethtool", "linux.uml": "user-mode-linux",
}  # fmt: skip


@dataclass(frozen=True)
class Check:
    """One thing a live run needs or can use.

    Attributes:
        what: Its name.
        is_there: Whether the machine has it.
        is_needed: Whether no live run is possible without it.
        advice: What to do where it is missing.
    """

    what: str
    is_there: bool
    is_needed: bool
    advice: str


def examine(folder: Path) -> list[Check]:
    """Return all checks; ``folder`` is where a run's files would go."""
    checks = [_linux(), *(_command(name, is_needed=True) for name in ("unshare", "mnexec", "ip", "ethtool"))]
    checks += [_flower(name) for name in NEEDED]
    checks.append(
        Check(
            "python package mininet",
            _has_module("mininet"),
            True,
            "pip install 'fedgen[live]', or make test, which does",
        )
    )
    if all(check.is_there for check in checks):
        checks.append(_namespaces())
        checks.append(_tun())
        checks.append(_netem())
    checks.append(_groups())
    checks += [_command("brctl", is_needed=False), _command("linux.uml", is_needed=False), _disk(folder)]
    return checks


def missing(folder: Path, sandbox: str = "namespaces") -> str | None:
    """Return one sentence on what keeps this machine from a live run in that kind of sandbox, or None."""
    checks = examine(folder)
    if sandbox == "uml":  # the guest is root of a kernel of its own; its programs are this machine's
        needed = {"command linux.uml", "command brctl"}
        checks = [replace(c, is_needed=(c.is_needed or c.what in needed) and c.what != NAMESPACES) for c in checks]
    lacking = [check for check in checks if check.is_needed and not check.is_there]
    if not lacking:
        return None
    return "a live run is not possible here: " + "; ".join(f"no {check.what} ({check.advice})" for check in lacking)


def can_netem() -> bool:
    """Whether the kernel has netem and the tools to use it."""
    return _netem().is_there and _command("brctl", is_needed=False).is_there


def congestion_controls() -> frozenset[str]:
    """Return the TCP congestion controls this kernel can use."""
    path = Path("/proc/sys/net/ipv4/tcp_available_congestion_control")
    return frozenset(path.read_text().split()) if path.exists() else frozenset()


def choose_shaper(wanted: str, refusals: list[str], *, has_netem: bool | None = None) -> Shaper:
    """Return the shaper to use: the one wanted, or with ``auto`` netem where kernel and plan allow it, else the relay."""
    if wanted == "netem":
        return "netem"
    if wanted == "userspace":
        return "userspace"
    has = can_netem() if has_netem is None else has_netem
    return "netem" if has and not refusals else "userspace"


def sandbox_prefix() -> list[str]:
    """Return the command that runs another one in a network namespace of its own."""
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    return ["unshare", *as_root, "--net", "--pid", "--fork", "--mount-proc", "--kill-child", "--"]


def _linux() -> Check:
    return Check("Linux", sys.platform == "linux", True, f"this is {sys.platform}; run it in a Linux virtual machine")


def _command(name: str, *, is_needed: bool) -> Check:
    package = _PACKAGES[name]
    return Check(f"command {name}", shutil.which(name, path=_PATH) is not None, is_needed, f"apt install {package}")


def _flower(name: str) -> Check:
    is_there = (Path(sys.executable).parent / name).exists() or shutil.which(name) is not None
    return Check(f"command {name}", is_there, True, "pip install flwr, pinned in constraints.txt")


def _namespaces() -> Check:
    advice = (
        "run as root, or allow unprivileged user namespaces (on Ubuntu: "
        "sysctl kernel.apparmor_restrict_unprivileged_userns=0)"
    )
    return Check(NAMESPACES, _works(["true"]), True, advice)


def _tun() -> Check:
    advice = "modprobe tun; the userspace shaper needs /dev/net/tun, netem does not"
    is_there = _works(["ip", "tuntap", "add", "dev", "probe0", "mode", "tun"])
    return Check("TUN devices (--shaper userspace)", is_there, False, advice)


def _netem() -> Check:
    advice = "modprobe sch_netem, a kernel that has it, or --shaper userspace"
    is_there = _works(["tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"])
    return Check("netem in the kernel (--shaper netem)", is_there, False, advice)


def _groups() -> Check:
    advice = (
        "run as root where /sys/fs/cgroup is writable; without, memory limits are those of virtual time and --cpu quota "
        "is refused"
    )
    return Check("control groups (memory limits, --cpu quota)", set(places()) == set(CONTROLLERS), False, advice)


def _disk(folder: Path) -> Check:
    place = next(path for path in [folder, *folder.parents] if path.exists())
    free = shutil.disk_usage(place).free
    return Check(
        f"{LEAST_DISK_BYTES >> 20} MiB of free disk", free >= LEAST_DISK_BYTES, True,
        f"{free >> 20} MiB are free at {place}; make room or give another --out",
    )  # fmt: skip


def _has_module(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def _works(command: list[str]) -> bool:
    try:
        done = subprocess.run(
            [*sandbox_prefix(), *command],
            capture_output=True,
            check=False,
            timeout=20,
            env={**os.environ, "PATH": _PATH},
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
