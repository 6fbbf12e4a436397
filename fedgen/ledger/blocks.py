# SPDX-License-Identifier: Apache-2.0
"""Blocks: a round's entries under one Merkle root, chained, and confirmed by a quorum of institutions (proof of authority).

Whoever votes for a block votes for all before it, because a block names its predecessor. More than two thirds must vote: with
fewer than a third dishonest, two different blocks of one number cannot both be confirmed.
"""

import hashlib
from dataclasses import asdict, dataclass
from typing import Any

from fedgen.ledger.entries import LedgerError, canonical, is_hex
from fedgen.privacy.identity import Identity, is_signed

NO_BLOCK = "0" * 64


def quorum(members: int) -> int:
    """Return how many of the members must vote: more than two thirds."""
    return 2 * members // 3 + 1


@dataclass(frozen=True)
class Block:
    """Closes all entries up to `size`.

    Attributes:
        number: 0, 1, 2 ...
        round: Round in which it was closed.
        size: Entries in the log so far.
        root: Merkle root over them, as hex.
        previous: Digest of the block before, `NO_BLOCK` in the first.
        signature: The coordinator's, as hex.
    """

    number: int
    round: int
    size: int
    root: str
    previous: str
    signature: str = ""

    def text(self) -> bytes:
        """Return what the coordinator signs."""
        plain = asdict(self)
        del plain["signature"]
        return b"fedgen ledger block" + canonical(plain)

    @property
    def digest(self) -> str:
        """SHA-256 of the block with its signature, as hex: what the next block and the votes refer to."""
        return hashlib.sha256(canonical(asdict(self))).hexdigest()

    def vote_text(self) -> bytes:
        """Return what an institution signs when it votes."""
        return b"fedgen ledger vote" + bytes.fromhex(self.digest)

    def vote(self, identity: Identity) -> bytes:
        """Return an institution's vote for the block."""
        return identity.sign(self.vote_text())

    def is_voted_by(self, member: str, vote: bytes) -> bool:
        """Return whether a vote for this block is by that member."""
        return is_signed(bytes.fromhex(member), vote, self.vote_text())


def block_from(value: Any) -> Block:
    """Read a block from plain data.

    Raises:
        LedgerError: A field is missing, too many or of another type.
    """
    names = {"number": int, "round": int, "size": int, "root": str, "previous": str, "signature": str}
    if (
        not isinstance(value, dict)
        or set(value) != set(names)
        or any(type(value[n]) is not t for n, t in names.items())
    ):
        raise LedgerError("a block with other fields than a block has")
    if not (is_hex(value["root"], (64,)) and is_hex(value["previous"], (64,)) and is_hex(value["signature"], (128,))):
        raise LedgerError("a block whose digests or signature are no hex of their length")
    return Block(**value)
