"""Starts one of Flower's commands with the run's hooks in it: ``python -m emulator.backends.live.launch COMMAND ARGUMENTS``."""

from __future__ import annotations

import sys
import time

STARTED_S = time.monotonic()  # before anything large is imported: a process's start counts from here


def main() -> None:
    """Install the hooks of the command named first, and run it with the remaining arguments."""
    command = sys.argv[1]
    sys.argv = sys.argv[1:]
    if command.startswith("flwr-"):
        _keep_output(command)
    if command == "register":
        from emulator.backends.live.hooks.registration import register

        register(sys.argv[1:])
    elif command == "flower-supernode":
        from flwr.supernode.cli import flower_supernode

        from emulator.backends.live.hooks.superlink import lengthen_lease
        from emulator.backends.live.hooks.supernode import watch_supernode

        lengthen_lease()
        watch_supernode()
        flower_supernode()
    elif command == "flower-superlink":
        from flwr.superlink.cli import flower_superlink

        from emulator.backends.live.hooks.superlink import lengthen_lease

        lengthen_lease()
        flower_superlink()
    elif command == "flwr-clientapp":
        from emulator.backends.live.cgroups import join
        from emulator.backends.live.hooks.job import node_job

        join(node_job().groups)  # before anything large is loaded: a start costs a device CPU time and memory too
        from flwr.supernode.cli import flwr_clientapp

        from emulator.backends.live.hooks.clientapp import watch_clientapp

        watch_clientapp(STARTED_S)
        flwr_clientapp()
    elif command == "flwr-serverapp":
        from flwr.superlink.cli import flwr_serverapp

        from emulator.backends.live.hooks.serverapp import watch_serverapp

        watch_serverapp()
        flwr_serverapp()
    else:
        raise SystemExit(f"no hooks for {command!r}")


def _keep_output(command: str) -> None:
    """Send the process's output to the run's logs: Flower's SuperExec throws it away."""
    import os

    from emulator.backends.live.hooks.job import NODE_VARIABLE, run_folder

    path = run_folder() / "logs" / f"{os.environ[NODE_VARIABLE]}-{command}.log"
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)


if __name__ == "__main__":
    main()
