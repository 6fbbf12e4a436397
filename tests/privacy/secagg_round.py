"""Plays a round of secure aggregation with real clients and a real server, and clients that fall silent."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from fedgen.privacy.identity import Identity, new_identity
from fedgen.privacy.secagg.client import SecAggClient
from fedgen.privacy.secagg.server import SecAggServer

STEPS = ("advertise", "share", "mask", "agree", "reveal")
Levels = NDArray[np.uint32]


class Group:
    """Clients with identities; `known` survives from round to round."""

    def __init__(self, nodes: Collection[int]) -> None:
        self.identities: dict[int, Identity] = {node: new_identity() for node in nodes}
        self.known: dict[int, dict[int, bytes]] = {node: {} for node in nodes}

    def clients(self, server_round: int) -> dict[int, SecAggClient]:
        return {
            node: SecAggClient(identity, node, server_round, secrets=None, known=self.known[node])
            for node, identity in self.identities.items()
        }


def play(values: Mapping[int, Levels], silent_from: Mapping[int, str], server_round: int = 1) -> SecAggServer:
    """Play a round up to its last step; a client is silent from the step it is named with."""
    group = Group(values)
    return play_with(group.clients(server_round), values, silent_from, server_round)


def play_with(
    clients: Mapping[int, SecAggClient],
    values: Mapping[int, Levels],
    silent_from: Mapping[int, str],
    server_round: int = 1,
) -> SecAggServer:
    def speaks(node: int, step: str) -> bool:
        return node not in silent_from or STEPS.index(step) < STEPS.index(silent_from[node])

    server = SecAggServer(server_round, {n: c.advertise() for n, c in clients.items() if speaks(n, "advertise")})
    asked = server.ask_shares()
    server.take_shares({n: clients[n].share(a.first, a.second) for n, a in asked.items() if speaks(n, "share")})
    asked = server.ask_masked()
    server.take_masked(
        {n: clients[n].mask(values[n], a.first, a.second) for n, a in asked.items() if speaks(n, "mask")}
    )
    asked = server.ask_agreement()
    server.take_agreement({n: clients[n].agree(a.first) for n, a in asked.items() if speaks(n, "agree")})
    asked = server.ask_reveal()
    server.take_revealed({n: clients[n].reveal(a.first, a.second) for n, a in asked.items() if speaks(n, "reveal")})
    return server
