# SPDX-License-Identifier: Apache-2.0
"""The ledger as a guard of a run: the institution's half. Its ledger node lives in `Context.state`."""

import json
from typing import cast

from flwr.app import ConfigRecord, Context, RecordDict

from fedgen.config import AppConfig
from fedgen.ledger.entries import Entry, LedgerError, arrays_digest, canonical, form_digest
from fedgen.ledger.guard import JOIN, RECORD, VOTE, join_text
from fedgen.ledger.node import Node, node_from
from fedgen.privacy.frame import SEALED, SPENT, Call, Query
from fedgen.privacy.identity import own_identity
from fedgen.work import WORK_REPORT, WorkReport

NODE = "ledger-node"


def _node(context: Context) -> Node:
    """Return the ledger node as it was left."""
    record = context.state.config_records.get(NODE)
    identity = own_identity(context)
    return Node(identity) if record is None else node_from(identity, json.loads(cast(bytes, record["state"])))


def _review(context: Context, lines: bytes) -> tuple[Node, bytes, float]:
    """Follow the ledger; return the node, its votes and how many signatures were made or verified."""
    node = _node(context)
    before = node.replica.frontier.size
    votes = node.review(lines) if lines else []
    context.state[NODE] = ConfigRecord({"state": canonical(node.to_plain())})
    return node, b"".join(votes), float(node.replica.frontier.size - before + 2 * len(votes))


def join(context: Context, content: RecordDict, config: AppConfig) -> RecordDict:
    """Answer who this institution is, signed for this ledger."""
    name = cast(bytes, content.config_records[RECORD]["name"])
    identity, institution = own_identity(context), int(context.node_config["partition-id"])
    signature = identity.sign(join_text(name, context.node_id, institution))
    answer = ConfigRecord({"public": identity.public, "signature": signature, "institution": institution})
    return RecordDict({RECORD: answer, WORK_REPORT: WorkReport(signatures=1).to_record()})


def vote(context: Context, content: RecordDict, config: AppConfig) -> RecordDict:
    """Check the blocks shown and answer with a vote for each."""
    _, votes, signatures = _review(context, cast(bytes, content.config_records[RECORD]["lines"]))
    return RecordDict(
        {RECORD: ConfigRecord({"votes": votes}), WORK_REPORT: WorkReport(signatures=signatures).to_record()}
    )


def stamp(call: Call, asked: RecordDict, content: RecordDict, brief: ConfigRecord) -> WorkReport:
    """Sign what is sent, if the model received is of an approved form and this institution is a member.

    Raises:
        LedgerError: The ledger does not allow it.
    """
    node, votes, signatures = _review(call.context, cast(bytes, brief["missed"]))
    model, identity = asked.array_records["arrays"], own_identity(call.context)
    if form_digest(model) not in node.replica.rules.approved:
        raise LedgerError("the model received is of a form that is not approved on the ledger")
    if brief["name"] != node.replica.name:
        raise LedgerError("the round belongs to another ledger than the one this institution follows")
    entry = Entry(
        kind="update",
        round=call.server_round,
        signer=identity.public.hex(),
        digest=arrays_digest(content.array_records[SEALED]),
        about=arrays_digest(model),
        epsilon=_spent(content),
    ).signed(identity, node.replica.name)
    content[RECORD] = ConfigRecord({"entry": entry.to_bytes(), "votes": votes})
    return WorkReport(signatures=signatures + 1)


def _spent(content: RecordDict) -> float:
    """Return the largest epsilon that the reply states."""
    values = [value for value in content.config_records.get(SPENT, ConfigRecord()).values() if isinstance(value, float)]
    return max(values, default=0.0)


QUERIES: dict[str, Query] = {JOIN: join, VOTE: vote}
"""By action."""
