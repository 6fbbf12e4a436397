"""Real ledgers, written by a coordinator and confirmed by ledger nodes."""

from __future__ import annotations

import hashlib
from collections.abc import Collection

from fedgen.ledger.coordinator import Coordinator
from fedgen.ledger.entries import Entry
from fedgen.ledger.node import Node
from fedgen.privacy.identity import Identity

FORM = hashlib.sha256(b"form").hexdigest()


def digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


class Federation:
    """A coordinator and institutions with keys that follow from their numbers."""

    def __init__(self, institutions: int = 3) -> None:
        self.chief = Identity(bytes(31) + b"\x7f")
        self.members = [Identity(bytes(31) + bytes([number + 1])) for number in range(institutions)]
        self.nodes = [Node(member) for member in self.members]
        self.ledger = Coordinator(self.chief)
        for number, member in enumerate(self.members):
            self.ledger.write("admit", 0, member=member.public.hex(), name=f"institution {number}")
        self.ledger.write("approve", 0, digest=FORM)
        self.close()

    def close(self, silent: Collection[int] = ()) -> None:
        """Close a block and let everybody vote who is not silent."""
        self.ledger.close_block()
        for number, (member, node) in enumerate(zip(self.members, self.nodes, strict=True)):
            if number not in silent:
                key = member.public.hex()
                self.ledger.take_votes(key, node.review(self.ledger.question_for(key)))

    def update(self, number: int, server_round: int, epsilon: float = 0.0) -> Entry:
        """Return an institution's signed update."""
        identity = self.members[number]
        entry = Entry(
            kind="update",
            round=server_round,
            signer=identity.public.hex(),
            digest=digest("update", number, server_round),
            about=digest("model", server_round - 1),
            epsilon=epsilon,
        )
        return entry.signed(identity, self.ledger.replica.name)

    def round(self, server_round: int, silent: Collection[int] = ()) -> None:
        """Write a whole round."""
        for member in self.members:
            key = member.public.hex()
            if key in self.ledger.replica.rules.active(server_round):
                self.ledger.write(
                    "model", server_round, member=key, digest=digest("model", server_round - 1), about=FORM
                )
        for number, member in enumerate(self.members):
            if member.public.hex() in self.ledger.replica.rules.active(server_round):
                self.ledger.take(self.update(number, server_round, 0.5 * server_round).to_bytes())
        self.ledger.write("result", server_round, digest=digest("model", server_round))
        self.close(silent)
