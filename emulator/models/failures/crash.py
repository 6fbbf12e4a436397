"""Faults at a place in the protocol: a ClientApp that dies while training or while sending its reply."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from emulator.models.failures.view import View
from emulator.plan import PlacedFault
from emulator.rng import Streams
from emulator.topology.params import ParameterError, as_list


def crash(
    view: View,
    streams: Streams,
    *,
    round: int | list[int],
    node: str | list[str],
    phase: Literal["train", "upload"] = "train",
    action: Literal["crash", "leave"] = "crash",
) -> Iterator[PlacedFault]:
    """Yield one fault per round and node. Draws nothing.

    Args:
        view: The network.
        streams: Not used.
        round: Rounds, from 1.
        node: Names or patterns of clients.
        phase: ``train`` (the work is lost half done) or ``upload`` (it is done, the reply is lost on the way).
        action: ``crash`` (no reply this time) or ``leave`` (the node is gone for good).

    Raises:
        ParameterError: No such client, or a round below 1.
    """
    rounds = [round] if isinstance(round, int) else round
    wrong = [number for number in rounds if number < 1]
    if wrong:
        raise ParameterError([("round", f"got {wrong[0]}; rounds count from 1")])
    clients = {item.name for item in view.nodes if item.kind == "client"}
    names = view.match_nodes(as_list(node), "node")
    others = [name for name in names if name not in clients]
    if others and all(name in others for name in names):
        raise ParameterError([("node", f"{others[0]!r} is no client; only a client runs a ClientApp")])
    for number in sorted(set(rounds)):
        for name in names:
            if name in clients:
                yield PlacedFault(number, name, phase, action)
