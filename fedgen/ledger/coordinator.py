# SPDX-License-Identifier: Apache-2.0
"""The coordinator's side: writes entries, closes blocks, collects votes. It may leave an entry out, not change or forge one."""

import os
from dataclasses import replace

from fedgen.ledger.blocks import Block, quorum
from fedgen.ledger.book import block_line, entry_line, seal_line, vote_line
from fedgen.ledger.entries import Entry
from fedgen.ledger.replica import Replica
from fedgen.privacy.identity import Identity


class Coordinator:
    """A ledger being written.

    Args:
        identity: The coordinator's.

    Attributes:
        replica: The ledger so far, checked like everybody else checks it.
        lines: The ledger's lines so far, without the seal.
    """

    def __init__(self, identity: Identity) -> None:
        self.replica = Replica()
        self.lines: list[bytes] = []
        self._identity = identity
        self._blocks: list[Block] = []
        self._electorates: list[list[str]] = []
        self._starts = [0]
        self._votes: list[dict[str, bytes]] = []
        self._next_for: dict[str, int] = {}
        self.write("open", 0, name=os.urandom(16).hex())

    # -- entries ------------------------------------------------------------------------------------------------

    def write(self, kind: str, server_round: int, **fields: str) -> Entry:
        """State something as the coordinator.

        Raises:
            LedgerError: The rules forbid it.
        """
        entry = Entry(kind=kind, round=server_round, signer=self._identity.public.hex(), **fields)  # type: ignore[arg-type]
        signed = entry.signed(self._identity, self.replica.name)
        self.take(signed.to_bytes())
        return signed

    def take(self, data: bytes) -> Entry:
        """Take in an entry of anybody's.

        Raises:
            LedgerError: Its form, its signature or the rules are against it; the ledger stays as it was.
        """
        entry = self.replica.take_entry(data)
        self.lines.append(entry_line(data))
        return entry

    # -- blocks -------------------------------------------------------------------------------------------------

    def close_block(self) -> Block:
        """Close the entries since the last block."""
        replica = self.replica
        block = Block(
            number=replica.blocks,
            round=replica.rules.round,
            size=replica.frontier.size,
            root=replica.frontier.root().hex(),
            previous=replica.head,
        )
        block = replace(block, signature=self._identity.sign(block.text()).hex())
        replica.take_block(block)
        self.lines.append(block_line(block))
        self._blocks.append(block)
        self._electorates.append(replica.rules.electorate())
        self._votes.append({})
        self._starts.append(len(self.lines))
        return block

    def question_for(self, member: str, *, closed_only: bool = False) -> bytes:
        """Return the lines a member has not confirmed yet: entries and blocks, no votes.

        Args:
            member: Public key of the member.
            closed_only: Leave out entries that no block closes yet.
        """
        start = self._starts[self._next_for.get(member, 0)]
        end = self._starts[-1] if closed_only else None
        return b"\n".join(line for line in self.lines[start:end] if not line.startswith(b'{"vote"'))

    def take_votes(self, member: str, votes: list[bytes]) -> int:
        """Keep a member's votes for the blocks it was asked about, in order; returns how many are right."""
        number, right = self._next_for.get(member, 0), 0
        for vote in votes[: len(self._blocks) - number]:
            if not self._blocks[number].is_voted_by(member, vote):
                break
            if member in self._electorates[number]:
                self._votes[number][member] = vote
                self.lines.append(vote_line(number, member, vote))
            number, right = number + 1, right + 1
        self._next_for[member] = number
        return right

    @property
    def confirmed(self) -> int:
        """Blocks that are confirmed: by their own quorum, or by that of a later block."""
        numbers = [
            number
            for number, (votes, members) in enumerate(zip(self._votes, self._electorates, strict=True))
            if len(votes) >= quorum(len(members))
        ]
        return max(numbers, default=-1) + 1

    def to_bytes(self) -> bytes:
        """Return the whole ledger with its seal, as a file."""
        return b"".join(line + b"\n" for line in [*self.lines, seal_line(self.lines, self._identity)])
