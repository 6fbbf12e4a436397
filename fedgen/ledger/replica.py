# SPDX-License-Identifier: Apache-2.0
"""What everybody who follows a ledger does: check each entry and each block, and keep no more than the next check needs."""

import hashlib
from collections.abc import Sequence
from typing import Any

from fedgen.ledger.batch import right_signatures
from fedgen.ledger.blocks import NO_BLOCK, Block
from fedgen.ledger.entries import Entry, LedgerError, entry_from
from fedgen.ledger.merkle import Frontier, leaf_hash
from fedgen.ledger.rules import Rules, rules_from
from fedgen.privacy.identity import is_signed


class Replica:
    """A ledger as far as it was followed.

    Attributes:
        name: SHA-256 of the first entry; signatures are bound to it.
        rules: State of the access rules.
        frontier: The Merkle tree's edge.
        blocks: Number of blocks so far.
        head: Digest of the latest block.
        closed: Entries that the latest block closes.
    """

    def __init__(self) -> None:
        """Start before the first entry."""
        self.name = b""
        self.rules = Rules()
        self.frontier = Frontier()
        self.blocks = 0
        self.head = NO_BLOCK
        self.closed = 0

    def take_entry(self, data: bytes, *, is_verified: bool = False) -> Entry:
        """Check an entry and take it in.

        Args:
            data: The entry in canonical form.
            is_verified: Its signature was checked already.

        Returns:
            The entry.

        Raises:
            LedgerError: Form, signature or rules are broken; nothing is taken in.
        """
        entry = entry_from(data)
        if not is_verified and not entry.is_signed(data, self.name):
            raise LedgerError(
                f"the signature of {entry.signer[:12]} under {entry.kind!r} of round {entry.round} is wrong"
            )
        self.rules.apply(entry)
        self.frontier.append(leaf_hash(data))
        if not self.name:
            self.name = name_of(data)
        return entry

    def take_entries(self, entries: Sequence[bytes], *, workers: int) -> None:
        """Check entries and take them in, their signatures by several processes.

        Raises:
            LedgerError: As for `take_entry`; the entries before the bad one are taken in.
        """
        first = 0 if self.name else 1
        for data in entries[:first]:
            self.take_entry(data)
        rest = entries[first:]
        for data, is_right in zip(rest, right_signatures(rest, self.name, workers=workers), strict=True):
            self.take_entry(data, is_verified=is_right)

    def take_block(self, block: Block) -> None:
        """Check a block and take it in.

        Raises:
            LedgerError: It does not follow, or closes other entries than these.
        """
        if (block.number, block.previous) != (self.blocks, self.head):
            raise LedgerError(f"block {block.number} does not follow block {self.blocks - 1}")
        if block.size != self.frontier.size or block.size == self.closed or block.root != self.frontier.root().hex():
            raise LedgerError(f"block {block.number} closes other entries than those that stand before it")
        if block.round != self.rules.round:
            raise LedgerError(
                f"block {block.number} is of round {block.round}, its entries of round {self.rules.round}"
            )
        if not is_signed(bytes.fromhex(self.rules.coordinator), bytes.fromhex(block.signature), block.text()):
            raise LedgerError(f"block {block.number} is not signed by the coordinator")
        self.blocks, self.head, self.closed = block.number + 1, block.digest, block.size

    def to_plain(self) -> dict[str, Any]:
        """Return the state as plain data, for a node that goes on later."""
        return {
            "name": self.name.hex(),
            "rules": self.rules.to_plain(),
            "size": self.frontier.size,
            "hashes": [value.hex() for value in self.frontier.hashes],
            "blocks": self.blocks,
            "head": self.head,
            "closed": self.closed,
        }


def name_of(first: bytes) -> bytes:
    """Return the name of the ledger that begins with this entry."""
    return hashlib.sha256(first).digest()


def replica_from(plain: dict[str, Any]) -> Replica:
    """Return the state written by `Replica.to_plain`."""
    replica = Replica()
    replica.name = bytes.fromhex(plain["name"])
    replica.rules = rules_from(plain["rules"])
    replica.frontier = Frontier(plain["size"], [bytes.fromhex(value) for value in plain["hashes"]])
    replica.blocks, replica.head, replica.closed = plain["blocks"], plain["head"], plain["closed"]
    return replica
