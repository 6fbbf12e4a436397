# SPDX-License-Identifier: Apache-2.0
"""Federated averaging of protected contributions: the server sees their sum, or less."""

import math
import random
from collections.abc import Callable, Iterable
from logging import INFO, WARNING
from typing import Any

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, MessageType, MetricRecord, RecordDict
from flwr.app.typing import MetricRecordValues
from flwr.common.logger import log
from flwr.serverapp import Grid

from fedgen.privacy.codecs import Codec
from fedgen.privacy.frame import BRIEF, CONFIG, REFUSED, SEALED, SPENT, Carrier, Guarantee, Guard, Sum, Talk
from fedgen.privacy.score_tail import ThresholdRule
from fedgen.privacy.spent import ExampleSpent
from fedgen.privacy.vectors import TAIL, Layout, layout_of, moved
from fedgen.strategies.tolerant_fedavg import TolerantFedAvg
from fedgen.work import WorkReport


class PrivateFedAvg(TolerantFedAvg):
    """TolerantFedAvg on protected contributions: every client has the same weight, and its own is never looked at.

    A round that the carrier cannot open, or with fewer contributions than `min_replies`, keeps model and threshold. A client
    that refuses, because its budget is spent, is not asked again; when the clients' common budget is spent, nobody is.
    """

    def __init__(
        self,
        *,
        carrier_name: str,
        carrier: Carrier,
        codec: Codec,
        guards: list[Guard],
        report_work: Callable[[WorkReport], None],
        report_spent: Callable[[list[Guarantee]], None],
        example_spent: ExampleSpent | None,
        sampling: str,
        threshold_rule: ThresholdRule,
        answer_wait_s: float,
        **rules: Any,
    ) -> None:
        """Set the mechanisms.

        Args:
            carrier_name: Name of the carrier, under which its client half is told things.
            carrier: Brings the sum.
            codec: Turns the sum into the mean.
            guards: Watch over the run, in this order.
            report_work: Told what the mechanisms did on the server.
            report_spent: Told after each round what has been released so far.
            example_spent: Collects the clinics' accounts; None where they have none.
            sampling: `all`: a share of the nodes; `poisson`: each node with that chance, from a secret draw.
            threshold_rule: Where the threshold comes from.
            answer_wait_s: Longest wait for the answers to a mechanism's question.
            rules: See `TolerantFedAvg`.
        """
        super().__init__(**rules)
        self.carrier_name = carrier_name
        self.carrier = carrier
        self.codec = codec
        self.guards = guards
        self.report_work = report_work
        self.answer_wait_s = answer_wait_s
        self.report_spent = report_spent
        self.example_spent = example_spent
        self.sampling = sampling
        self.threshold_rule = threshold_rule
        self.threshold = threshold_rule.start
        self._talk: Talk | None = None
        self._may_release = True
        self._refused: set[int] = set()

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Wait and sample as ever; let the mechanisms get ready; one message per node that can take part."""
        self._sent = arrays
        nodes = self._choose_nodes(server_round, grid)
        self._talk = talk = Talk(grid, server_round, self.answer_wait_s)
        asked = len(nodes)
        for guard in self.guards:
            nodes = guard.prepare(talk, nodes, arrays)
        nodes = self.carrier.prepare(talk, nodes)
        self.report_work(self.carrier.work())
        if len(nodes) < asked:
            log(WARNING, "configure_train: %d of %d nodes cannot take part", asked - len(nodes), asked)
        config["server-round"] = server_round
        return [self._message(arrays, config, node, server_round) for node in nodes]

    def _sample(self, server_round: int, nodes: list[int]) -> list[int]:
        """Return the nodes that train; nobody when the clients' budget is spent."""
        self._may_release = self.codec.begin(len(nodes))
        if not self._may_release:
            log(WARNING, "Round %d: the clients' privacy budget is spent, nobody is asked", server_round)
            return []
        willing = [node for node in nodes if node not in self._refused]
        if self.sampling == "poisson":
            return [node for node in willing if random.random() < self.fraction_train]
        return super()._sample(server_round, willing)

    def _message(self, arrays: ArrayRecord, config: ConfigRecord, node: int, server_round: int) -> Message:
        content = RecordDict({self.arrayrecord_key: arrays, CONFIG: config})
        briefs = {"codec": self.codec.brief(), self.carrier_name: self.carrier.brief(node)}
        briefs.update({guard.name: guard.brief(node, server_round) for guard in self.guards})
        for name, brief in briefs.items():
            if brief:
                content[BRIEF.format(name)] = brief
        return Message(content=content, message_type=MessageType.TRAIN, dst_node_id=node)

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Let the carrier add up the contributions; move the model by their mean and renew the threshold.

        Returns:
            The new model, or None to keep the old one; and `round.replies` (contributions in the sum), `round.accepted`,
            `round.epsilon-renyi-example` or `-client`, and what the guards measure.
        """
        assert self._talk is not None
        assert self._sent is not None
        contents = {
            reply.metadata.src_node_id: reply.content
            for reply in sorted(replies, key=lambda reply: reply.metadata.src_node_id)
            if not reply.has_error()
        }
        for guard in self.guards:
            counted = guard.inspect(self._talk, contents)
            contents = {node: contents[node] for node in counted}
        self._note_refusals(contents)
        total = self._total(contents, layout_of(self._sent))
        model = None if total is None else self._moved(total, contents)
        for guard in self.guards:
            guard.conclude(self._talk, model)
        self.report_work(self.carrier.work())
        spent = self._spent(contents)
        summary: dict[str, MetricRecordValues] = {
            "round.replies": float(len(total.nodes)) if total is not None else 0.0,
            "round.accepted": float(total is not None),
        }
        for guarantee in spent:
            if math.isfinite(guarantee.renyi):
                summary[f"round.epsilon-renyi-{guarantee.unit}"] = guarantee.renyi
        for guard in self.guards:
            summary.update(guard.measures())
        self.latest_round = summary
        return model, MetricRecord(summary)

    def _note_refusals(self, contents: dict[int, RecordDict]) -> None:
        for node, content in contents.items():
            if REFUSED in content.config_records:
                self._refused.add(node)
                log(WARNING, "node %d takes no part any more: %s", node, content.config_records[REFUSED].get("reason"))

    def _spent(self, contents: dict[int, RecordDict]) -> list[Guarantee]:
        """Report and return what has been released so far."""
        guarantees = [self.codec.guarantee()]
        if self.example_spent is not None:
            records = [
                content.config_records[SPENT] for content in contents.values() if SPENT in content.config_records
            ]
            guarantees.append(self.example_spent.see(records))
        spent = [guarantee for guarantee in guarantees if guarantee is not None]
        for guarantee in spent:
            log(INFO, "privacy spent so far on %s: epsilon %.6g", guarantee.words, guarantee.epsilon)
        self.report_spent(spent)
        return spent

    def _total(self, contents: dict[int, RecordDict], layout: Layout) -> Sum | None:
        """Return the sum of the contributions, or None where there are too few or they cannot be opened."""
        assert self._talk is not None
        sealed = {
            node: content.array_records[SEALED] for node, content in contents.items() if SEALED in content.array_records
        }
        total = None
        if len(sealed) >= self.min_replies or (sealed and self.codec.always_steps):
            total = self.carrier.total(self._talk, sealed, layout.length)
        found = len(sealed) if total is None else len(total.nodes)
        log(INFO, "aggregate_train: %d of %d contributions, at least %d wanted", found, len(contents), self.min_replies)
        if self.codec.always_steps and self._may_release:
            return total or Sum(np.zeros(layout.length), ())
        return total if total is not None and found >= self.min_replies else None

    def _moved(self, total: Sum, contents: dict[int, RecordDict]) -> ArrayRecord:
        """Return the model moved by the mean contribution; renews the threshold."""
        assert self._sent is not None
        mean = self.codec.decode(total)
        accounts = [contents[node].config_records.get(SPENT, ConfigRecord()) for node in total.nodes]
        self.threshold = self.threshold_rule.see(mean[-TAIL:], accounts)
        return moved(self._sent, mean[:-TAIL])
