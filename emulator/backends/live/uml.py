"""User Mode Linux as a run's sandbox: a Linux kernel of its own as an ordinary process, with netem, without any privilege.

The guest's root is this machine's file system (hostfs), so that Python, Flower and the run folder are where they are;
its network is its own. The first process is a short shell script that mounts what a system needs, loads the network's
modules and carries out one command.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

MODULES: Final = ("sch_netem", "bridge", "veth", "tun")
MODULE_FOLDER: Final = "/usr/lib/uml/modules"
MEMORY: Final = "3G"
PASSED_ON: Final = ("PATH", "PYTHONPATH", "HOME", "FEDGEN_DATA", "FLWR_TELEMETRY_ENABLED")
"""Environment variables that the guest's processes get."""


def uml_command(command: Sequence[str], script: Path, environment: Mapping[str, str]) -> list[str]:
    """Write the guest's first program to ``script``; return the command that boots the guest, which ends with ``command``."""
    script.write_text(first_program(command, environment))
    script.chmod(0o755)
    return [
        "linux.uml", f"mem={MEMORY}", "rootfstype=hostfs", "rootflags=/", "rw", f"init={script}", "con=null",
        "con0=null,fd:1", "con1=null,fd:1", "quiet",
    ]  # fmt: skip


def first_program(command: Sequence[str], environment: Mapping[str, str]) -> str:
    """Return the shell script that is process 1 of the guest."""
    exports = [f"export {name}={shlex.quote(environment[name])}" for name in PASSED_ON if environment.get(name)]
    return "\n".join(
        [
            "#!/bin/sh",
            "export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp",
            *exports,
            "mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs devtmpfs /dev 2>/dev/null",
            "mkdir -p /dev/pts /dev/shm; mount -t devpts devpts /dev/pts",
            "mount -t tmpfs tmpfs /dev/shm; mount -t tmpfs tmpfs /run",
            "mkdir -p /run/kernel/lib/modules",
            f"ln -s {MODULE_FOLDER}/$(uname -r) /run/kernel/lib/modules/$(uname -r)",
            f"for module in {' '.join(MODULES)}; do modprobe -d /run/kernel $module; done",
            "ip link set lo up",
            shlex.join(command),
            "sync; echo o > /proc/sysrq-trigger; sleep 5; halt -f",
            "",
        ]
    )
