"""Flower's commands, flags, configuration and environment (flwr 1.41), in one file: they change between versions."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from emulator.backends.live.credentials import NodeKey, ServerFiles
from emulator.plan import FlowerSettings

SUPERLINK_PORT: Final = 8000
SUPERNODE_PORT: Final = 9094
CONNECTION: Final = "live"
WATCHED: Final = ("flwr-serverapp", "flwr-clientapp")
"""Commands that Flower starts by name; the run's own, first on the path, note what happens inside and call Flower's."""
NEEDED: Final = ("flower-superlink", "flower-supernode", "flower-superexec", "flwr", *WATCHED)
"""Commands that must be installed."""


def superlink(address: str, files: ServerFiles, database: Path) -> list[str]:
    """Return the command of the SuperLink at ``address``, with SuperNode authentication and its state in ``database``."""
    return [
        "flower-superlink", "--host", address, "--port", str(SUPERLINK_PORT), "--ssl-ca-certfile", str(files.authority),
        "--ssl-certfile", str(files.certificate), "--ssl-keyfile", str(files.key), "--enable-supernode-auth",
        "--disable-runtime-dependency-installation", "--database", str(database),
    ]  # fmt: skip


def supernode(superlink_address: str, files: ServerFiles, key: NodeKey, config: Mapping[str, str | int]) -> list[str]:
    """Return the command of a SuperNode that uses the SuperLink at an address; it is started through ``watched``."""
    return [
        "flower-supernode", "--superlink", f"{superlink_address}:{SUPERLINK_PORT}",
        "--root-certificates", str(files.authority), "--auth-supernode-private-key", str(key.private),
        "--host", "127.0.0.1", "--port", str(SUPERNODE_PORT),
        "--node-config", " ".join(f"{name}={json.dumps(value)}" for name, value in config.items()),
    ]  # fmt: skip


def submit(app: Path, run_config: Mapping[str, Any]) -> list[str]:
    """Return the command that hands an app to the SuperLink; it returns once the run is accepted."""
    overrides = " ".join(f"{_quoted(key)}={json.dumps(value)}" for key, value in run_config.items())
    return ["flwr", "run", str(app), CONNECTION, *(["--run-config", overrides] if overrides else [])]


def register(keys: list[NodeKey]) -> list[str]:
    """Return the command that makes SuperNodes known to the SuperLink, all in one process."""
    return [*watched("register"), *(str(key.public) for key in keys)]


def watched(command: str) -> list[str]:
    """Return how a command of Flower's is started so that it notes what happens inside."""
    return [sys.executable, "-m", "emulator.backends.live.launch", command]


def connection_config(address: str, files: ServerFiles) -> str:
    """Return the configuration by which ``flwr`` finds the SuperLink."""
    return (
        f'[superlink]\ndefault = "{CONNECTION}"\n\n[superlink.{CONNECTION}]\n'
        f'address = "{address}:{SUPERLINK_PORT}"\nroot-certificates = "{files.authority}"\n'
    )


def environment(home: Path, commands: Path, settings: FlowerSettings) -> dict[str, str]:
    """Return the environment of all processes of a run; ``commands`` holds the watched commands."""
    package_root = str(Path(__file__).parents[3])
    return {
        **os.environ,
        "FLWR_HOME": str(home),
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
        "FLWR_PRIVATE_MAX_CONCURRENT_OBJ_PUSHES": str(settings.lanes),
        "FLWR_PRIVATE_MAX_CONCURRENT_OBJ_PULLS": str(settings.lanes),
        "FLWR_PRIVATE_MAX_ARRAY_CHUNK_SIZE": str(settings.chunk_bytes),
        "FLWR_SUPEREXEC_TASK_POLL_INTERVAL": f"{settings.superexec_poll_s:g}",
        "NO_PROXY": "*",
        "NO_COLOR": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, [package_root, os.environ.get("PYTHONPATH", "")])),
        "PATH": os.pathsep.join(
            [str(commands), str(Path(sys.executable).parent), os.environ.get("PATH", ""), "/usr/sbin", "/sbin"]
        ),
        **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    }


def write_watched_commands(folder: Path) -> None:
    """Put the commands that Flower is to find instead of its own into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in WATCHED:
        path = folder / name
        path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m emulator.backends.live.launch {name} "$@"\n')
        path.chmod(0o755)


def _quoted(key: str) -> str:
    return json.dumps(key) if "." in key else key
