"""Makes the SuperNodes' keys known to the SuperLink: ``flwr supernode register`` for each, with one start of Python for all."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def register(public_keys: Sequence[str]) -> None:
    """Register each key file; ends with 1 and Flower's message where the SuperLink refuses one."""
    from flwr.cli.app import app
    from typer.testing import CliRunner

    from emulator.backends.live.commands import CONNECTION

    runner = CliRunner()
    for path in public_keys:
        done = runner.invoke(app, ["supernode", "register", path, CONNECTION])
        if done.exit_code != 0:
            sys.exit(f"{path}: {done.output}")
