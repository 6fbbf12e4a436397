# SPDX-License-Identifier: Apache-2.0
"""One secret key for all clients, dealt by a key authority and carried by the server, who cannot read it.

The authority is a client, or a SuperNode of its own without data (node config `role = "key-authority"`). Keys come in
epochs. Before the first round, and whenever somebody is new, the server asks:

    he_join    everybody it does not know   -> public key, partition, role
    he_deal    the authority                -> the epoch's key, wrapped for each new member
    he_key     each new member              -> yes, it can unwrap it

Any holder can deal an epoch's key, so that an authority that is down stops nobody; only a new epoch needs a new draw. A new
epoch begins when a member has left (not connected in `leave_after` rounds in a row), or when more clients take part than the
guard bits allow: who left cannot read what is encrypted afterwards.

Trust: all clients share the key. Server and one client together read single updates. Public keys are not signed here.
"""

from collections.abc import Iterable
from logging import INFO, WARNING
from typing import Any, cast

from flwr.app import ConfigRecord, Context, RecordDict
from flwr.common.logger import log

from fedgen.config import AppConfig
from fedgen.privacy import bfv, ckks, key_wrap
from fedgen.privacy.frame import Talk
from fedgen.work import WORK_REPORT, WorkReport

KEYS = "he-keys"
"""ConfigRecord in the client's state: `private` key, and `epoch-<n>`: the seed of the epoch's secret key."""
AUTHORITY_ROLE = "key-authority"
SMALLEST_COHORT = 8
DEAL_TRIES = 3


class KeyRing:
    """The server's knowledge of who holds which epoch's key; it holds no key itself.

    Attributes:
        epoch: Number of the current epoch; 0 before the first.
        cohort: Most contributions in one sum in this epoch.
        holders: Nodes known to hold its key.
    """

    def __init__(self, *, authority: int, leave_after: int) -> None:
        """Start without members.

        Args:
            authority: Partition of the client that deals keys; -1: the first by node id. A node of that role goes before.
            leave_after: Rounds not connected after which a member counts as gone.
        """
        self.authority = authority
        self.leave_after = leave_after
        self.epoch = 0
        self.cohort = 0
        self.holders: set[int] = set()
        self._public: dict[int, bytes] = {}
        self._partition: dict[int, int] = {}
        self._away: dict[int, int] = {}
        self._roles: set[int] = set()

    def prepare(self, talk: Talk, nodes: list[int]) -> list[int]:
        """Deal keys to whoever lacks one; return the nodes that can contribute."""
        connected = sorted(talk.grid.get_node_ids())
        self._join(talk, [node for node in connected if node not in self._public])
        members = [node for node in connected if node in self._public]
        training = [node for node in nodes if node in self._public and node not in self._roles]
        self._count_absence(connected)
        if self.epoch == 0 or len(training) > self.cohort or self._someone_left():
            self._begin_epoch(talk, members, len(training))
        else:
            self._bring(talk, [node for node in members if node not in self.holders], members)
        return [node for node in training if node in self.holders][: self.cohort]

    def openers(self, preferred: Iterable[int]) -> list[int]:
        """Return holders that can be asked to decrypt: the authority, then those known to be awake."""
        awake = [node for node in sorted(preferred) if node in self.holders]
        first = [node for node in self._by_authority(sorted(self.holders)) if node in awake or node in self._roles]
        return (first + [node for node in awake if node not in first])[:DEAL_TRIES]

    def _join(self, talk: Talk, strangers: list[int]) -> None:
        for node, answer in talk.ask("he_join", {node: RecordDict() for node in strangers}).items():
            record = answer.config_records.get(KEYS, ConfigRecord())
            public, partition = record.get("public"), record.get("partition")
            if isinstance(public, bytes) and len(public) == key_wrap.PUBLIC_BYTES and isinstance(partition, int):
                self._public[node], self._partition[node] = public, partition
                if record.get("role") == AUTHORITY_ROLE:
                    self._roles.add(node)

    def _count_absence(self, connected: list[int]) -> None:
        for node in self._public:
            self._away[node] = 0 if node in connected else self._away.get(node, 0) + 1

    def _someone_left(self) -> bool:
        gone = {node for node in self.holders if self._away.get(node, 0) >= self.leave_after}
        if gone:
            log(INFO, "%d key holders have left: a new epoch begins", len(gone))
        return bool(gone)

    def _begin_epoch(self, talk: Talk, members: list[int], training: int) -> None:
        """Have a new key drawn and delivered; with nobody to draw it the old epoch goes on."""
        for dealer in self._by_authority(members)[:DEAL_TRIES]:
            others = [node for node in members if node != dealer]
            wrapped = self._deal(talk, dealer, others, self.epoch + 1, is_new=True)
            if wrapped is not None:
                self.epoch += 1
                self.cohort = max(SMALLEST_COHORT, 1 << (max(training, 1) - 1).bit_length())
                self.holders = {dealer}
                self._deliver(talk, wrapped)
                return
            log(WARNING, "node %d does not deal keys; asking the next", dealer)

    def _bring(self, talk: Talk, lacking: list[int], members: list[int]) -> None:
        """Have a holder wrap the epoch's key for nodes that lack it, and deliver it."""
        awake = [node for node in members if node in self.holders]
        for dealer in self._by_authority(awake)[:DEAL_TRIES] if lacking else []:
            wrapped = self._deal(talk, dealer, lacking, self.epoch, is_new=False)
            if wrapped is not None:
                self._deliver(talk, wrapped)
                return

    def _deal(
        self, talk: Talk, dealer: int, receivers: list[int], epoch: int, *, is_new: bool
    ) -> dict[int, bytes] | None:
        """Return the epoch's key wrapped for each receiver, as the dealer gave it; None where it did not."""
        request = ConfigRecord({"epoch": epoch, "is-new": is_new, "public": [self._public[node] for node in receivers]})
        answer = talk.ask("he_deal", {dealer: RecordDict({KEYS: request})}).get(dealer)
        record = ConfigRecord() if answer is None else answer.config_records.get(KEYS, ConfigRecord())
        wrapped = record.get("wrapped", [])
        if record.get("epoch") != epoch or not isinstance(wrapped, list) or len(wrapped) != len(receivers):
            return None
        return dict(zip(receivers, cast(list[bytes], wrapped), strict=True))

    def _deliver(self, talk: Talk, wrapped: dict[int, bytes]) -> None:
        """Relay wrapped keys; who can unwrap its own is a holder."""
        contents = {
            node: RecordDict({KEYS: ConfigRecord({"epoch": self.epoch, "wrapped": blob})})
            for node, blob in wrapped.items()
        }
        for node, answer in talk.ask("he_key", contents).items():
            if answer.config_records.get(KEYS, ConfigRecord()).get("holds") == self.epoch:
                self.holders.add(node)

    def _by_authority(self, nodes: list[int]) -> list[int]:
        """Return nodes with the authority first: of the role, else of the chosen partition, else the first by id."""
        return sorted(
            nodes, key=lambda node: (node not in self._roles, self._partition.get(node) != self.authority, node)
        )


def answer_join(context: Context, content: RecordDict, config: AppConfig) -> RecordDict:
    """Give the public key, making the pair on first use; and say who this is."""
    keys = _keys(context)
    if "private" not in keys:
        keys["private"] = key_wrap.new_private_key()
        context.state[KEYS] = keys
    public = key_wrap.public_key(cast(bytes, keys["private"]))
    partition = int(context.node_config.get("partition-id", -1))
    role = str(context.node_config.get("role", ""))
    return _answer({"public": public, "partition": partition, "role": role}, agreements=1)


def answer_deal(context: Context, content: RecordDict, config: AppConfig) -> RecordDict:
    """Draw an epoch's key if it is new, and wrap it for each receiver."""
    request = content.config_records[KEYS]
    epoch, keys = cast(int, request["epoch"]), _keys(context)
    name = f"epoch-{epoch}"
    if request["is-new"] and name not in keys:
        keys[name] = ckks.new_key() if config.privacy_he_scheme == "ckks" else bfv.new_key()
        context.state[KEYS] = keys
    if name not in keys:
        raise ValueError(f"this node holds no key of epoch {epoch}")
    seed = cast(bytes, keys[name])
    wrapped = [key_wrap.wrap(seed, public, _purpose(epoch)) for public in cast(list[bytes], request.get("public", []))]
    return _answer({"epoch": epoch, "wrapped": wrapped}, agreements=1 + len(wrapped))


def answer_key(context: Context, content: RecordDict, config: AppConfig) -> RecordDict:
    """Unwrap an epoch's key and keep it; keys of earlier epochs are forgotten."""
    record, keys = content.config_records[KEYS], _keys(context)
    epoch, private = cast(int, record["epoch"]), cast(bytes, keys["private"])
    seed = key_wrap.unwrap(cast(bytes, record["wrapped"]), private, _purpose(epoch))
    context.state[KEYS] = ConfigRecord({"private": private, f"epoch-{epoch}": seed})
    return _answer({"holds": epoch}, agreements=1)


def _answer(values: dict[str, Any], *, agreements: int) -> RecordDict:
    """Return an answer with the report of the keys made or agreed upon for it."""
    report = WorkReport(key_agreements=float(agreements)).to_record()
    return RecordDict({KEYS: ConfigRecord(values), WORK_REPORT: report})


def epoch_key(context: Context, epoch: int) -> bytes:
    """Return the seed of an epoch's key out of the client's state.

    Raises:
        ValueError: This client does not hold it.
    """
    seed = _keys(context).get(f"epoch-{epoch}")
    if not isinstance(seed, bytes):
        raise ValueError(f"this node holds no key of epoch {epoch}")
    return seed


def _keys(context: Context) -> ConfigRecord:
    return context.state.config_records.get(KEYS, ConfigRecord())


def _purpose(epoch: int) -> bytes:
    return f"homomorphic key of epoch {epoch}".encode()
