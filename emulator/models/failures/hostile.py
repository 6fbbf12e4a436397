"""Clients that work against the training: what they send is not what their data would give."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

from emulator.hostility import Hostility
from emulator.models.failures.reader import Names, Reader
from emulator.models.failures.view import View
from emulator.rng import Streams

Attack = Literal[
    "sign_flip", "scaling", "noise", "nan", "replay", "stale", "malformed", "oversized", "label_flip", "backdoor"
]
STRENGTHS: Final[dict[str, float]] = {
    "sign_flip": 1.0, "scaling": 10.0, "noise": 10.0, "nan": 1.0, "replay": 1.0, "stale": 1.0, "malformed": 1.0,
    "oversized": 10.0, "label_flip": 1.0, "backdoor": 1.0,
}  # fmt: skip
"""Strength of each attack where the scenario gives none; ``emulator.flower.tamper`` says what it means."""


def hostile(
    view: View,
    streams: Streams,
    *,
    nodes: Names | None = None,
    attack: Attack,
    share: float | None = None,
    strength: float | None = None,
    from_round: int = 1,
    to_round: int | None = None,
) -> Iterator[Hostility]:
    """Yield one entry per hostile client.

    Args:
        view: The network.
        streams: Random streams of this block; draws the clients where only their share is given.
        nodes: Names or patterns of clients.
        attack: What they do to the reply of a training call; ``label_flip`` and ``backdoor`` are told to the ClientApp, as
            ``hostile`` in its node config, because they change the data and not the reply.
        share: Share of all clients, drawn at random; instead of ``nodes``.
        strength: How strongly; each attack has its own measure and default.
        from_round: First round.
        to_round: Last round; None for the end.

    Raises:
        ParameterError: No such client, both or neither of ``nodes`` and ``share``, or a number out of range.
    """
    reader = Reader()
    clients = sorted(node.name for node in view.nodes if node.kind == "client")
    chosen = [name for name in reader.names(view.match_nodes, "nodes", nodes) if name in clients]
    if (nodes is None) == (share is None):
        reader.refuse("", "needs either nodes: (which clients) or share: (how many, at random)")
    elif nodes is not None and not chosen and not reader.faults:
        reader.refuse("nodes", f"got {nodes!r}, which is no client; only a client runs a ClientApp")
    if share is not None and not 0 < share <= 1:
        reader.refuse("share", f"got {share}; want a share above 0 and at most 1")
    if strength is not None and not strength > 0:
        reader.refuse("strength", f"got {strength}; want a number above 0")
    if from_round < 1 or (to_round is not None and to_round < from_round):
        reader.refuse(
            "from_round",
            f"got rounds {from_round} to {to_round}; rounds count from 1, the last is not before the first",
        )
    reader.done()
    if share is not None:
        drawn = streams("clients").permutation(len(clients))[: max(1, round(share * len(clients)))]
        chosen = sorted(clients[index] for index in drawn)
    for name in chosen:
        yield Hostility(name, attack, STRENGTHS[attack] if strength is None else strength, from_round, to_round)
