# SPDX-License-Identifier: Apache-2.0
"""Secure aggregation as a carrier: the client's half. Its secrets lie in `Context.state` and are gone with the round."""

import dataclasses
from typing import cast

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, RecordDict
from numpy.typing import NDArray

from fedgen.config import AppConfig
from fedgen.errors import ProtocolError
from fedgen.privacy.frame import CONFIG, Call, Query, Sealed
from fedgen.privacy.identity import own_identity
from fedgen.privacy.secagg.carrier import ADVERTISE, AGREE, MASKED, RECORD, REVEAL, SHARE
from fedgen.privacy.secagg.client import SecAggClient, Secrets, known_from_bytes, known_to_bytes
from fedgen.privacy.secagg.packing import levels_of, pack
from fedgen.work import WORK_REPORT, WorkReport

SECRETS = "secagg-secrets"
KNOWN = "secagg-known"


class Session:
    """A client's round across calls: read from its state, and written back whatever happens in between.

    Args:
        context: The client's context.
        config: The settings.
        server_round: The round.
    """

    def __init__(self, context: Context, config: AppConfig, server_round: int) -> None:
        self._context = context
        self._round = server_round
        known = context.state.config_records.get(KNOWN, ConfigRecord({"identities": b""}))
        self._known = known_from_bytes(cast(bytes, known["identities"]))
        self.client = SecAggClient(
            own_identity(context),
            context.node_id,
            server_round,
            secrets=self._secrets(),
            known=self._known,
            dropout=config.privacy_secagg_dropout,
            collusion=config.privacy_secagg_collusion,
        )

    def __enter__(self) -> SecAggClient:
        """Return the protocol's client."""
        return self.client

    def __exit__(self, *exception: object) -> None:
        """Keep what the next step needs."""
        if self.client.secrets is not None:
            fields = dataclasses.asdict(self.client.secrets)
            self._context.state[SECRETS] = ConfigRecord({"round": self._round, **fields})
        self._context.state[KNOWN] = ConfigRecord({"identities": known_to_bytes(self._known)})

    def _secrets(self) -> Secrets | None:
        """Return this round's secrets; those of an earlier round are forgotten, a round that is over does not come back."""
        record = self._context.state.config_records.get(SECRETS)
        latest = 0 if record is None else cast(int, record["round"])
        if record is None or latest < self._round:
            return None
        if latest != self._round:
            raise ProtocolError(f"round {self._round} is over, {latest} has begun")
        return Secrets(**{name: value for name, value in record.items() if name != "round"})  # type: ignore[arg-type]


def _asked(content: RecordDict) -> tuple[int, bytes, bytes]:
    """Return the round and the two arguments of a question."""
    record = content.config_records.get(RECORD, ConfigRecord({"first": b"", "second": b""}))
    server_round = cast(int, content.config_records[CONFIG]["server-round"])
    return server_round, cast(bytes, record["first"]), cast(bytes, record["second"])


def _answer(work: WorkReport, **values: bytes) -> RecordDict:
    return RecordDict({RECORD: ConfigRecord(dict(values)), WORK_REPORT: work.to_record()})


def advertise(context: Context, content: RecordDict, config: AppConfig) -> RecordDict:
    """Answer with this round's public keys."""
    server_round, _, _ = _asked(content)
    with Session(context, config, server_round) as client:
        return _answer(WorkReport(key_agreements=2, signatures=1), advert=client.advertise())


def share(context: Context, content: RecordDict, config: AppConfig) -> RecordDict:
    """Answer with sealed shares for the neighbours."""
    server_round, cohort, adverts = _asked(content)
    with Session(context, config, server_round) as client:
        sealed, commitments = client.share(cohort, adverts)
        neighbours = float(client.neighbours)
        return _answer(
            WorkReport(key_agreements=neighbours, signatures=neighbours), sealed=sealed, commitments=commitments
        )


def agree(context: Context, content: RecordDict, config: AppConfig) -> RecordDict:
    """Answer with a signature under the list of survivors."""
    server_round, survivors, _ = _asked(content)
    with Session(context, config, server_round) as client:
        return _answer(WorkReport(signatures=1), signature=client.agree(survivors))


def reveal(context: Context, content: RecordDict, config: AppConfig) -> RecordDict:
    """Answer with the shares that take the masks off the sum."""
    server_round, signers, signatures = _asked(content)
    with Session(context, config, server_round) as client:
        shares = client.reveal(signers, signatures)
        return _answer(WorkReport(signatures=float(client.quorum)), shares=shares)


ANSWERS: dict[str, Query] = {ADVERTISE: advertise, SHARE: share, AGREE: agree, REVEAL: reveal}
"""By action."""


def seal(call: Call, values: NDArray[np.float64], brief: ConfigRecord) -> Sealed:
    """Return a contribution of whole numbers under masks.

    Raises:
        ProtocolError: The server did not tell who shares with us, or a number is larger than agreed.
    """
    missing = {"sharers", "sealed", "bits", "largest"} - set(brief)
    if missing:
        raise ProtocolError(f"the training message lacks {', '.join(sorted(missing))} of secure aggregation")
    bits, largest = cast(int, brief["bits"]), cast(int, brief["largest"])
    levels = levels_of(values, largest)
    with Session(call.context, call.config, call.server_round) as client:
        masked = client.mask(levels, cast(bytes, brief["sharers"]), cast(bytes, brief["sealed"]))
        streams = 1.0 + client.neighbours
    packed = np.frombuffer(pack(masked, bits), dtype=np.uint8)
    work = WorkReport(masked_elements=streams * len(values), key_agreements=2 * client.neighbours)
    return Sealed(ArrayRecord({MASKED: Array(packed)}), work)
