# SPDX-License-Identifier: Apache-2.0
"""The client's half of a protected round: what leaves the clinic instead of its weights."""

from dataclasses import dataclass

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, RecordDict

from fedgen import task
from fedgen.data.sources import DataSource
from fedgen.privacy.budget import BudgetExhausted
from fedgen.privacy.frame import BRIEF, REFUSED, SEALED, SPENT, Call
from fedgen.privacy.kinds import Kind
from fedgen.privacy.registry import GUARDS, carrier_of, make_codec
from fedgen.privacy.selective import selective_seal
from fedgen.privacy.vectors import Vector, difference, layout_of, shares_above
from fedgen.work import WorkReport


@dataclass(frozen=True)
class Share:
    """Which part of the data a client has."""

    source: DataSource
    partition: int
    partitions: int


@dataclass(frozen=True)
class Contribution:
    """What a clinic has to say after its training.

    Attributes:
        vector: The change of the weights, and the shares of scores (`fedgen.privacy.vectors`).
        work: What the training took.
        spent: The clinic's account, where it has one.
    """

    vector: Vector
    work: WorkReport
    spent: ConfigRecord | None = None


def brief_of(message: Message, mechanism: str) -> ConfigRecord:
    """Return what the server told about a mechanism; empty where it told nothing."""
    return message.content.config_records.get(BRIEF.format(mechanism), ConfigRecord())


def protected_training(call: Call, message: Message, share: Share, kind: Kind) -> tuple[RecordDict, WorkReport]:
    """Train and return what may leave the clinic.

    Args:
        call: The call.
        message: The server's message, with the model as `arrays`.
        share: The clinic's part of the data.
        kind: The run's mechanisms.

    Returns:
        The content of the reply without its work report (`sealed`, `privacy-spent`, what guards add; or `refused`), and the
        work done. Neither loss nor number of examples is in it, unless an account needs the number.
    """
    sent = message.content.array_records["arrays"]
    try:
        contribution = train_examples(call, sent, share) if "dp-example" in kind else train_plain(call, sent, share)
    except BudgetExhausted as reason:
        return RecordDict({REFUSED: ConfigRecord({"reason": str(reason)})}), WorkReport()
    codec = make_codec(kind, call.config, layout_of(sent))
    numbers = codec.encode(call, contribution.vector, brief_of(message, "codec"))
    seal = carrier_of(kind, call.config).seal
    if call.config.privacy_he_layers:
        seal = selective_seal(seal, call.config, layout_of(sent), codec.largest)
    sealed = seal(call, numbers, brief_of(message, kind.carrier))
    content = RecordDict({SEALED: sealed.arrays})
    if contribution.spent is not None:
        content[SPENT] = contribution.spent
    work = contribution.work.plus(sealed.work)
    for name, guard in GUARDS.items():
        if name in kind:
            work = work.plus(guard.stamp(call, message.content, content, brief_of(message, name)))
    return content, work


def train_plain(call: Call, sent: ArrayRecord, share: Share) -> Contribution:
    """Return a clinic's contribution without noise."""
    patients = task.client_patients(share.source, call.config, share.partition, share.partitions)
    result = task.train_client(
        sent.to_torch_state_dict(), patients, call.config, partition=share.partition, server_round=call.server_round
    )
    shares = shares_above(np.array(result.score_counts, dtype=np.float64))
    return Contribution(np.concatenate([difference(ArrayRecord(result.state), sent), shares]), result.work)


def train_examples(call: Call, sent: ArrayRecord, share: Share) -> Contribution:
    """Return a clinic's contribution with noise for each example, and its account.

    Raises:
        BudgetExhausted: The round does not fit the clinic's budget.
    """
    from fedgen.privacy import example_level  # Opacus takes two seconds to import: only who needs it pays

    patients = example_level.protected_patients(share.source, call.config, share.partition, share.partitions)
    result = example_level.train_examples(call, sent, patients)
    spent = result.account.to_record()
    spent["delta"], spent["examples"] = result.delta, result.examples
    return Contribution(np.concatenate([difference(result.weights, sent), result.shares]), result.work, spent)
