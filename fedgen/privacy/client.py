# SPDX-License-Identifier: Apache-2.0
"""The client's half of a protected round: what leaves the clinic instead of its weights."""

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, RecordDict

from fedgen.data.windows import PreparedPatient
from fedgen.privacy.frame import BRIEF, SEALED, Call
from fedgen.privacy.kinds import Kind
from fedgen.privacy.registry import CARRIERS, GUARDS, make_codec
from fedgen.privacy.vectors import difference, layout_of, shares_below
from fedgen.task import train_client
from fedgen.work import WORK_REPORT, WorkReport


def brief_of(message: Message, mechanism: str) -> ConfigRecord:
    """Return what the server told about a mechanism; empty where it told nothing."""
    return message.content.config_records.get(BRIEF.format(mechanism), ConfigRecord())


def protected_training(
    call: Call, message: Message, patients: list[PreparedPatient], kind: Kind, *, partition: int
) -> tuple[RecordDict, WorkReport]:
    """Train and return what may leave the clinic.

    Args:
        call: The call.
        message: The server's message, with the model as `arrays`.
        patients: The clinic's patients.
        kind: The run's mechanisms.
        partition: Number of the client.

    Returns:
        The content of the reply without its work report (`sealed`, and what guards add), and the work done. Neither loss nor
        number of examples is in it.
    """
    sent = message.content.array_records["arrays"]
    result = train_client(
        sent.to_torch_state_dict(), patients, call.config, partition=partition, server_round=call.server_round
    )
    change = difference(ArrayRecord(result.state), sent)
    vector = np.concatenate([change, shares_below(np.array(result.score_counts, dtype=np.float64))])
    numbers = make_codec(kind, call.config, layout_of(sent)).encode(call, vector, brief_of(message, "codec"))
    sealed = CARRIERS[kind.carrier].seal(call, numbers, brief_of(message, kind.carrier))
    content = RecordDict({SEALED: sealed.arrays})
    work = result.work.plus(sealed.work)
    for name, guard in GUARDS.items():
        if name in kind:
            work = work.plus(guard.stamp(call, message.content, content, brief_of(message, name)))
    return content, work


__all__ = ["WORK_REPORT", "brief_of", "protected_training"]
