# SPDX-License-Identifier: Apache-2.0
"""Who may write what: the access rules, as code that coordinator, ledger nodes and auditor all run.

- The first entry opens the ledger and names the coordinator. Only the coordinator admits and revokes institutions, approves
  forms of models, sends models and states results; the institutions' votes make it binding.
- An institution that is admitted or revoked in a round is so from the next round on.
- In a round, a model of an approved form may be sent once to each member; a member states one update, which must start from the
  model it was sent. Privacy spent never falls.
- Rounds never go back.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from fedgen.ledger.entries import Entry, LedgerError

BY_COORDINATOR = ("admit", "approve", "revoke", "model", "result")


@dataclass
class Member:
    """An institution on the ledger.

    Attributes:
        name: Its name.
        admitted: Round of its admission.
        revoked: Round of its revocation, None while it is a member.
        epsilon: Privacy it has stated as spent.
        sent: Latest round in which a model was sent to it, and that model's digest.
        sent_digest: Digest of that model.
        updated: Latest round in which it stated an update.
    """

    name: str
    admitted: int
    revoked: int | None = None
    epsilon: float = 0.0
    sent: int = 0
    sent_digest: str = ""
    updated: int = 0

    def is_active(self, server_round: int) -> bool:
        """Return whether it is a member in a round."""
        return self.admitted < server_round and (self.revoked is None or server_round <= self.revoked)


@dataclass
class Rules:
    """The state of a ledger, moved on by every entry."""

    coordinator: str = ""
    round: int = 0
    approved: set[str] = field(default_factory=set)
    members: dict[str, Member] = field(default_factory=dict)

    def apply(self, entry: Entry) -> None:
        """Take an entry in.

        Raises:
            LedgerError: The rules forbid it; nothing is taken in.
        """
        if not self.coordinator:
            self._need(entry.kind == "open", f"a ledger begins with {entry.kind!r}")
            self.coordinator = entry.signer
            return
        self._need(entry.kind != "open", "the ledger is open already")
        self._need(entry.round >= self.round, f"round {entry.round} after round {self.round}")
        if entry.kind in BY_COORDINATOR:
            self._need(entry.signer == self.coordinator, f"{entry.kind!r} by somebody who is not the coordinator")
        getattr(self, f"_{entry.kind}")(entry)
        self.round = entry.round

    def active(self, server_round: int) -> list[str]:
        """Return the members of a round, sorted."""
        return sorted(key for key, member in self.members.items() if member.is_active(server_round))

    def electorate(self) -> list[str]:
        """Return who votes on a block closed now, sorted: the members of this round, founders in round 0."""
        return self.active(self.round) if self.round else sorted(self.members)

    def to_plain(self) -> dict[str, Any]:
        """Return the state as plain data."""
        return {**asdict(self), "approved": sorted(self.approved)}

    def _admit(self, entry: Entry) -> None:
        known = self.members.get(entry.member)
        self._need(bool(entry.member) and entry.member != self.coordinator, "an admission of nobody")
        self._need(known is None, "admitted already, or revoked: an identity is admitted once")
        self.members[entry.member] = Member(entry.name, entry.round)

    def _approve(self, entry: Entry) -> None:
        self._need(bool(entry.digest), "an approval of nothing")
        self.approved.add(entry.digest)

    def _revoke(self, entry: Entry) -> None:
        self._member(entry.member).revoked = entry.round

    def _model(self, entry: Entry) -> None:
        member = self._active_member(entry, entry.member)
        self._need(entry.about in self.approved, "a model of a form that is not approved")
        self._need(member.sent < entry.round, f"a second model to {member.name} in the round")
        member.sent, member.sent_digest = entry.round, entry.digest

    def _update(self, entry: Entry) -> None:
        member = self._active_member(entry, entry.signer)
        self._need(member.sent == entry.round, f"an update of {member.name}, to whom no model was sent")
        self._need(entry.about == member.sent_digest, f"an update of {member.name} from another model than was sent")
        self._need(member.updated < entry.round, f"a second update of {member.name} in the round")
        self._need(entry.epsilon >= member.epsilon, f"privacy spent by {member.name} falls")
        member.updated, member.epsilon = entry.round, entry.epsilon

    def _result(self, entry: Entry) -> None:
        self._need(bool(entry.digest), "a result without a model")

    def _member(self, key: str) -> Member:
        self._need(key in self.members, "an institution that was never admitted")
        self._need(self.members[key].revoked is None, "an institution that was revoked")
        return self.members[key]

    def _active_member(self, entry: Entry, key: str) -> Member:
        self._need(key in self.members, "an institution that was never admitted")
        member = self.members[key]
        self._need(member.is_active(entry.round), f"{member.name} is not a member in round {entry.round}")
        return member

    def _need(self, is_so: bool, otherwise: str) -> None:
        if not is_so:
            raise LedgerError(f"against the rules: {otherwise}")


def rules_from(plain: Mapping[str, Any]) -> Rules:
    """Return the state written by `Rules.to_plain`."""
    members = {key: Member(**value) for key, value in plain["members"].items()}
    return Rules(plain["coordinator"], plain["round"], set(plain["approved"]), members)
