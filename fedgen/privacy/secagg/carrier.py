# SPDX-License-Identifier: Apache-2.0
"""Secure aggregation as a carrier: the server's half, which talks through Flower messages.

A round is advertise, share (both before training), the masked contributions as replies to the training messages, agree, reveal.
Whoever is silent in the first two takes no part in the round; whoever is silent later has dropped out.
"""

from collections.abc import Mapping
from logging import INFO, WARNING

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, RecordDict
from flwr.common.logger import log

from fedgen.errors import ProtocolError
from fedgen.privacy.frame import Sum, Talk
from fedgen.privacy.secagg.masks import Levels
from fedgen.privacy.secagg.packing import numbers_of, sum_bits, unpack
from fedgen.privacy.secagg.server import Asked, SecAggServer
from fedgen.privacy.vectors import read_array
from fedgen.work import WorkReport

ADVERTISE, SHARE, AGREE, REVEAL = (f"secagg_{step}" for step in ("advertise", "share", "agree", "reveal"))
RECORD = "secagg"
MASKED = "masked"


class SecAggCarrier:
    """The server's half.

    Args:
        largest: No number of a contribution is larger in size.
        dropout: Share of a round's clients that may drop out.
        collusion: Share that may collude with the server.
    """

    is_exact = True

    def __init__(self, largest: int, *, dropout: float, collusion: float) -> None:
        self._largest = largest
        self._shares = (dropout, collusion)
        self._server: SecAggServer | None = None
        self._questions: dict[int, Asked] = {}
        self._bits = 0
        self._work = WorkReport()

    def prepare(self, talk: Talk, nodes: list[int]) -> list[int]:
        """Exchange keys and shares; return the nodes that did, or none where they are too few."""
        self._server, self._questions = None, {}
        adverts = _answers(talk.ask(ADVERTISE, {node: RecordDict() for node in nodes}), "advert")
        try:
            server = SecAggServer(
                talk.server_round,
                {node: values[0] for node, values in adverts.items()},
                dropout=self._shares[0],
                collusion=self._shares[1],
            )
            self._bits = sum_bits(self._largest, len(adverts))
            shares = talk.ask(SHARE, _contents(server.ask_shares()))
            server.take_shares({node: (a, b) for node, (a, b) in _answers(shares, "sealed", "commitments").items()})
        except ProtocolError as error:
            log(WARNING, "secagg: %s", error)
            return []
        _warn(server)
        log(
            INFO,
            "secagg: round %d, %d clients, %d neighbours each, at least %d must stay",
            talk.server_round,
            len(adverts),
            server.neighbours,
            server.threshold,
        )
        self._server, self._questions = server, server.ask_masked()
        return sorted(self._questions)

    def brief(self, node: int) -> ConfigRecord:
        """Return the neighbours' sealed shares, who has sent some, and the bits of the sum."""
        asked = self._questions[node]
        return ConfigRecord(
            {"sharers": asked.first, "sealed": asked.second, "bits": self._bits, "largest": self._largest}
        )

    def total(self, talk: Talk, sealed: Mapping[int, ArrayRecord], length: int) -> Sum | None:
        """Return the sum of the masked contributions, or None where too few have stayed to take the masks off."""
        server, self._server = self._server, None
        if server is None:
            return None
        read = {node: _levels(record, length, self._bits) for node, record in sealed.items()}
        for node in [node for node, levels in read.items() if levels is None]:
            server.refused[node] = "sent values of another form"
        try:
            server.take_masked({node: levels for node, levels in read.items() if levels is not None})
            agreed = talk.ask(AGREE, _contents(server.ask_agreement()))
            server.take_agreement({node: values[0] for node, values in _answers(agreed, "signature").items()})
            shown = talk.ask(REVEAL, _contents(server.ask_reveal()))
            server.take_revealed({node: values[0] for node, values in _answers(shown, "shares").items()})
            levels = server.total()
        except ProtocolError as error:
            log(WARNING, "secagg: %s", error)
            return None
        finally:
            _warn(server)
            self._work = self._work.plus(_unmasking(server, length))
        return Sum(numbers_of(levels, self._bits), server.survivors)

    def work(self) -> WorkReport:
        """Return the work since the last call."""
        work, self._work = self._work, WorkReport()
        return work


def _unmasking(server: SecAggServer, length: int) -> WorkReport:
    """Return the work of taking the masks off."""
    return WorkReport(masked_elements=float(server.masks_removed * length), key_agreements=float(server.agreements))


def _contents(questions: Mapping[int, Asked]) -> dict[int, RecordDict]:
    return {
        node: RecordDict({RECORD: ConfigRecord({"first": asked.first, "second": asked.second})})
        for node, asked in questions.items()
    }


def _answers(replies: Mapping[int, RecordDict], *names: str) -> dict[int, tuple[bytes, ...]]:
    """Return what nodes answered under some names; whoever answered in another form is left out."""
    answers: dict[int, tuple[bytes, ...]] = {}
    for node, content in replies.items():
        record = content.config_records.get(RECORD, ConfigRecord())
        values = tuple(value for name in names if isinstance(value := record.get(name), bytes))
        if len(values) == len(names):
            answers[node] = values
    return answers


def _levels(record: ArrayRecord, length: int, bits: int) -> Levels | None:
    """Return a masked contribution, or None where it has another form."""
    packed = read_array(record, MASKED, np.dtype(np.uint8))
    if packed is None:
        return None
    try:
        return unpack(packed.tobytes(), length, bits)
    except ProtocolError:
        return None


def _warn(server: SecAggServer) -> None:
    for node, why in server.refused.items():
        log(WARNING, "secagg: the answer of node %d is left out: %s", node, why)
    server.refused.clear()
