# SPDX-License-Identifier: Apache-2.0
"""An institution's ledger node: follows the ledger, checks everything, votes once for each block number."""

from typing import Any

from fedgen.ledger.blocks import block_from
from fedgen.ledger.book import entry_of, read_line
from fedgen.ledger.entries import LedgerError
from fedgen.ledger.replica import Replica, replica_from
from fedgen.privacy.identity import Identity


class Node:
    """A ledger node between two calls.

    Args:
        identity: The institution's.
        replica: The ledger as far as it was followed.
        votes: Votes cast so far: digest of the block and vote, by number.
    """

    def __init__(
        self, identity: Identity, replica: Replica | None = None, votes: list[tuple[str, str]] | None = None
    ) -> None:
        self.replica = replica or Replica()
        self._identity = identity
        self._votes = votes or []

    def review(self, question: bytes) -> list[bytes]:
        """Check what the coordinator shows and vote.

        Args:
            question: Lines of entries and blocks, beginning after a block that this node has seen, or at the start.

        Returns:
            A vote for each block in the question, in order.

        Raises:
            LedgerError: Something is wrong; what was right before it is taken in, and nothing is voted for.
        """
        answers = []
        entries: list[bytes] = []
        for line in question.split(b"\n"):
            kind, content = read_line(line)
            if kind == "entry":
                entries.append(entry_of(line))
            elif kind == "block":
                block = block_from(content)
                if block.number < self.replica.blocks:
                    self._need_same(block.number, block.digest)
                else:
                    for entry in entries:
                        self.replica.take_entry(entry)
                    self.replica.take_block(block)
                    self._votes.append((block.digest, block.vote(self._identity).hex()))
                entries = []
                answers.append(bytes.fromhex(self._votes[block.number][1]))
            else:
                raise LedgerError(f"a {kind} where entries and blocks are asked about")
        return answers

    def _need_same(self, number: int, digest: str) -> None:
        if self._votes[number][0] != digest:
            raise LedgerError(
                f"a second block {number}: the coordinator tells different things to different institutions"
            )

    def to_plain(self) -> dict[str, Any]:
        """Return the state as plain data."""
        return {"replica": self.replica.to_plain(), "votes": [list(vote) for vote in self._votes]}


def node_from(identity: Identity, plain: dict[str, Any]) -> Node:
    """Return the node whose state `Node.to_plain` has written."""
    return Node(identity, replica_from(plain["replica"]), [(vote[0], vote[1]) for vote in plain["votes"]])
