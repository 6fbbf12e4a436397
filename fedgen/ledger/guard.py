# SPDX-License-Identifier: Apache-2.0
"""The ledger as a guard of a run: the coordinator's half, which talks to the ledger nodes through Flower messages.

Before the first round the institutions join and confirm the opening block. In each round every model sent and every update that
came is written down; an update without a right signature, or against the rules, does not count. When the round is over its block
is closed and the institutions that can be reached vote. Whoever cannot is shown what it missed with its next training message.
"""

from collections.abc import Mapping
from logging import INFO, WARNING
from typing import Protocol

from flwr.app import ArrayRecord, ConfigRecord, Context, RecordDict
from flwr.common.logger import log

from fedgen.ledger.access import Access
from fedgen.ledger.audit import FILE
from fedgen.ledger.coordinator import Coordinator
from fedgen.ledger.entries import LedgerError, arrays_digest, entry_from, form_digest
from fedgen.privacy.frame import SEALED, Talk
from fedgen.privacy.identity import PUBLIC_BYTES, SIGNATURE_BYTES, is_signed, new_identity
from fedgen.work import APPENDED, WorkReport, add_to_context, keep_file

ANCHORS = "anchors.json"
JOIN, VOTE = "ledger_join", "ledger_vote"
RECORD = "ledger"


def join_text(ledger: bytes, node: int, institution: int) -> bytes:
    """Return what an institution signs when it asks to join."""
    return b"fedgen ledger join" + ledger + node.to_bytes(8, "big") + institution.to_bytes(8, "big")


class Anchor(Protocol):
    """Where the blocks' roots are put besides the ledger."""

    def put(self, root: str) -> None:
        """Take the next block's root."""
        ...

    def to_bytes(self) -> bytes:
        """Return what a reader needs to find the roots again."""
        ...


def _anchor(evm: str, name: bytes) -> Anchor | None:
    if not evm:
        return None
    from fedgen.anchor.evm import Anchor as EvmAnchor  # an extra: nothing else needs it
    from fedgen.anchor.evm import connect

    return EvmAnchor(connect(evm), name)


class LedgerGuard:
    """The coordinator's half.

    Args:
        access: Who may join, who is revoked.
        context: The ServerApp's; the ledger is left in its state as a file to keep, with the work done.
        evm: Where a chain is that gets the blocks' roots (`fedgen.anchor`); empty for none.
    """

    name = "ledger"

    def __init__(self, access: Access, context: Context, evm: str = "") -> None:
        self.ledger = Coordinator(new_identity())
        self._access = access
        self._context = context
        self._keys: dict[int, str] = {}
        self._institutions: dict[int, int] = {}
        self._sent = ""
        self._form = ""
        self._noted = 0
        self._appended = 0
        self._anchor = _anchor(evm, self.ledger.replica.name)

    # -- guard --------------------------------------------------------------------------------------------------

    def prepare(self, talk: Talk, nodes: list[int], model: ArrayRecord) -> list[int]:
        """Let new nodes join, carry out revocations; return the members among the nodes."""
        is_first = self.ledger.replica.blocks == 0
        self._sent, self._form = arrays_digest(model), form_digest(model)
        self._join(talk, [node for node in nodes if node not in self._keys], 0 if is_first else talk.server_round)
        if is_first:
            self.ledger.write("approve", 0, digest=self._form)
            self._close(talk)
        for institution, server_round in sorted(self._access.revoked.items()):
            if server_round == talk.server_round:
                self._revoke(institution, server_round)
        active = set(self.ledger.replica.rules.active(talk.server_round))
        return [node for node in nodes if self._keys.get(node) in active]

    def brief(self, node: int, server_round: int) -> ConfigRecord:
        """Write down that the model goes to a node; return the ledger's name and what the node has missed."""
        key = self._keys[node]
        missed = self.ledger.question_for(key, closed_only=True)
        self.ledger.write("model", server_round, member=key, digest=self._sent, about=self._form)
        return ConfigRecord({"name": self.ledger.replica.name, "missed": missed})

    def inspect(self, talk: Talk, replies: Mapping[int, RecordDict]) -> list[int]:
        """Write down the updates; return the nodes whose entry is right and is about the very payload that came."""
        counted = []
        for node, content in sorted(replies.items()):
            record = content.config_records.get(RECORD, ConfigRecord())
            try:
                self._take_update(node, content, record)
            except LedgerError as error:
                log(WARNING, "ledger: the update of node %d does not count: %s", node, error)
                continue
            counted.append(node)
            self.ledger.take_votes(self._keys[node], _votes(record))
        add_to_context(self._context, WorkReport(signatures=float(len(replies))))
        return counted

    def conclude(self, talk: Talk, model: ArrayRecord | None) -> None:
        """Write down the round's model, close the block and collect votes."""
        digest = self._sent if model is None else arrays_digest(model)
        self.ledger.write("result", talk.server_round, digest=digest)
        self._close(talk)
        log(
            INFO,
            "ledger: %d entries, block %d closed, %d of %d blocks confirmed",
            self.ledger.replica.frontier.size,
            self.ledger.replica.blocks - 1,
            self.ledger.confirmed,
            self.ledger.replica.blocks,
        )

    def measures(self) -> dict[str, float]:
        """Return what the round's metrics say about the ledger."""
        return {
            "ledger.entries": float(self.ledger.replica.frontier.size),
            "ledger.blocks": float(self.ledger.replica.blocks),
            "ledger.confirmed": float(self.ledger.confirmed),
        }

    # -- inside -------------------------------------------------------------------------------------------------

    def _join(self, talk: Talk, nodes: list[int], server_round: int) -> None:
        name = self.ledger.replica.name
        asked = {node: RecordDict({RECORD: ConfigRecord({"name": name})}) for node in nodes}
        for node, content in talk.ask(JOIN, asked).items():
            record = content.config_records.get(RECORD, ConfigRecord())
            public, signature, institution = record.get("public"), record.get("signature"), record.get("institution")
            if not (isinstance(public, bytes) and isinstance(signature, bytes) and type(institution) is int):
                log(WARNING, "ledger: node %d asks to join in another form", node)
            elif len(public) != PUBLIC_BYTES or not is_signed(public, signature, join_text(name, node, institution)):
                log(WARNING, "ledger: node %d asks to join with a wrong signature", node)
            elif institution in self._institutions or not self._access.may_join(institution):
                log(WARNING, "ledger: institution %d (node %d) may not join", institution, node)
            else:
                self.ledger.write("admit", server_round, member=public.hex(), name=f"institution {institution}")
                self._keys[node], self._institutions[institution] = public.hex(), node

    def _revoke(self, institution: int, server_round: int) -> None:
        node = self._institutions.get(institution)
        if node is None:
            log(WARNING, "ledger: institution %d is to be revoked and never joined", institution)
            return
        self.ledger.write("revoke", server_round, member=self._keys[node])
        log(INFO, "ledger: institution %d is revoked from round %d on", institution, server_round + 1)

    def _take_update(self, node: int, content: RecordDict, record: ConfigRecord) -> None:
        """Take in a node's entry.

        Raises:
            LedgerError: It is missing, somebody else's, about another payload, or against the rules.
        """
        data, sealed = record.get("entry"), content.array_records.get(SEALED)
        if not isinstance(data, bytes) or sealed is None:
            raise LedgerError("it comes without an entry")
        entry = entry_from(data)
        if (entry.kind, entry.signer) != ("update", self._keys[node]):
            raise LedgerError("its entry is not an update of its own")
        if entry.digest != arrays_digest(sealed):
            raise LedgerError("its entry is about another payload than the one that came")
        self.ledger.take(data)

    def _close(self, talk: Talk) -> None:
        """Close a block, ask everybody who can be reached to vote, and leave the ledger to be kept."""
        block = self.ledger.close_block()
        if self._anchor is not None:
            self._anchor.put(block.root)
            keep_file(self._context, ANCHORS, self._anchor.to_bytes())
        members = set(self.ledger.replica.rules.electorate())
        listed = set(talk.grid.get_node_ids())
        asked = {
            node: RecordDict({RECORD: ConfigRecord({"lines": self.ledger.question_for(key)})})
            for node, key in self._keys.items()
            if key in members and node in listed
        }
        for node, content in talk.ask(VOTE, asked).items():
            self.ledger.take_votes(self._keys[node], _votes(content.config_records.get(RECORD, ConfigRecord())))
        add_to_context(self._context, WorkReport(signatures=float(len(asked) + 1)))
        self._note_appended()
        keep_file(self._context, FILE, self.ledger.to_bytes())

    def _note_appended(self) -> None:
        """Leave word of the entries since the last time, with their sizes."""
        noted = self._context.state.config_records.get(APPENDED, ConfigRecord())
        for line in self.ledger.lines[self._noted :]:
            if line.startswith(b'{"entry"'):
                kind = line.split(b'"kind":"', 1)[1].split(b'"', 1)[0].decode()
                noted[f"{self._appended:08d} {kind}"] = len(line)
                self._appended += 1
        self._noted = len(self.ledger.lines)
        self._context.state[APPENDED] = noted


def _votes(record: ConfigRecord) -> list[bytes]:
    votes = record.get("votes")
    data = votes if isinstance(votes, bytes) else b""
    return [data[start : start + SIGNATURE_BYTES] for start in range(0, len(data), SIGNATURE_BYTES)]
