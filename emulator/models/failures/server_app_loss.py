"""The ServerApp's process dies, the SuperLink stays: Flower ends the run."""

from __future__ import annotations

from collections.abc import Iterator

from emulator.models.failures.view import View
from emulator.plan import PlacedFault
from emulator.rng import Streams
from emulator.topology.params import ParameterError


def server_app_loss(view: View, streams: Streams, *, round: int) -> Iterator[PlacedFault]:
    """Yield the loss of the ServerApp in one round, just after its messages are out. Draws nothing.

    What it means: the run ends as failed (exit code 4); clients drop what they have in hand. Flower cannot bring the run
    back. An app that keeps checkpoints goes on in a new run, which is another `emulate` without this block; fedgen does
    with ``checkpoint-dir``. A SuperLink that is away for a while is ``superlink``.

    Args:
        view: The network.
        streams: Not used.
        round: The round, from 1.

    Raises:
        ParameterError: A round below 1.
    """
    if round < 1:
        raise ParameterError([("round", f"got {round}; rounds count from 1")])
    server = next(node.name for node in view.nodes if node.kind == "server")
    yield PlacedFault(round, server, "serve")
