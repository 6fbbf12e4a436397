# SPDX-License-Identifier: Apache-2.0
"""Federated averaging that takes absent, late and unusable replies as they come."""

import random
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from logging import INFO, WARNING
from typing import Any, cast

from flwr.app import ArrayRecord, ConfigRecord, Message, MessageType, MetricRecord, RecordDict
from flwr.app.typing import MetricRecordValues
from flwr.common.logger import log
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg

from fedgen.evaluation.thresholds import combine, quantile_of
from fedgen.strategies.robust import RULES, least_replies
from fedgen.threats.validation import same_form, update_length, within_bound

SCORES_RECORD = "scores"
SCORE_COUNTS = "counts"
POLL_S = 1.0


class TolerantFedAvg(FedAvg):
    """FedAvg with a least number of replies, a round schedule and a federated threshold.

    With all replies present it gives the same model as Flower's FedAvg. It differs in that

    - the sample of a round follows from (seed, round), not from the process's random state, and its size
      from the nodes connected when the wait is over;
    - the wait for `min_available_nodes` ends after `wait_limit_s`: the round goes on with those there are;
    - replies are averaged in order of node id, whatever order they came in;
    - a reply with other arrays than were sent, with values that are not finite, or without a positive
      number of examples is left out instead of ending the run;
    - with fewer good replies than `min_replies` the global model and the threshold stay as they were.

    Attributes:
        threshold: Quantile of the clients' normal scores in the latest accepted round; None before.
        latest_round: `round.replies` and `round.accepted` of the latest round; empty before.
    """

    def __init__(
        self,
        *,
        min_replies: int,
        fraction_train: float,
        min_available_nodes: int,
        threshold_quantile: float,
        round_interval_s: float,
        wait_limit_s: float,
        seed: int,
        rule: str = "fedavg",
        hostile: int = 0,
        length_bound: float = 0.0,
    ) -> None:
        """Set the rules.

        Args:
            min_replies: Least number of good replies for a new global model.
            fraction_train: Share of the connected nodes to train on, at least one node.
            min_available_nodes: Nodes to wait for before a round.
            threshold_quantile: See `threshold`.
            round_interval_s: Round r starts no earlier than (r - 1) times this after the first one.
            wait_limit_s: Longest wait for nodes in a round.
            seed: Seed of the sampling.
            rule: How one model is made of many: `fedavg`, or a key of `fedgen.strategies.robust.RULES`.
            hostile: Clients a round must withstand under such a rule; with too few replies for it the model is kept.
            length_bound: Updates longer than this many times the round's median are left out; 0: none is.
        """
        super().__init__(
            fraction_train=fraction_train,
            fraction_evaluate=0.0,
            min_train_nodes=1,
            min_available_nodes=min_available_nodes,
        )
        self.min_replies = min_replies
        self.threshold_quantile = threshold_quantile
        self.round_interval_s = round_interval_s
        self.wait_limit_s = wait_limit_s
        self.seed = seed
        self.rule = rule
        self.hostile = hostile
        self.length_bound = length_bound
        self.threshold: float | None = None
        self.latest_round: dict[str, MetricRecordValues] = {}
        self._started_s: float | None = None
        self._sent: ArrayRecord | None = None

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Wait for the round's time and nodes, sample, and make one message per sampled node."""
        sampled = self._choose_nodes(server_round, grid)
        self._sent = arrays
        config["server-round"] = server_round
        record = RecordDict({self.arrayrecord_key: arrays, self.configrecord_key: config})
        return self._construct_messages(record, sampled, MessageType.TRAIN)

    def _choose_nodes(self, server_round: int, grid: Grid) -> list[int]:
        """Wait for the round's time and nodes, and return the sampled ones in order of id."""
        self._wait_for_start(server_round)
        nodes = self._wait_for_nodes(grid)
        sampled = self._sample(server_round, nodes)
        log(INFO, "configure_train: Sampled %s nodes (out of %s)", len(sampled), len(nodes))
        return sampled

    def _sample(self, server_round: int, nodes: list[int]) -> list[int]:
        """Return the nodes that train, in order of id: a share of those connected, drawn by (seed, round)."""
        size = min(len(nodes), max(1, int(len(nodes) * self.fraction_train)))
        return sorted(random.Random(f"{self.seed}/{server_round}").sample(nodes, size))

    def _wait_for_start(self, server_round: int) -> None:
        """Sleep until the round may start."""
        now_s = time.time()
        if self._started_s is None:
            self._started_s = now_s - (server_round - 1) * self.round_interval_s  # a continued run starts at once
        due_s = self._started_s + (server_round - 1) * self.round_interval_s
        if due_s > now_s:
            time.sleep(due_s - now_s)

    def _wait_for_nodes(self, grid: Grid) -> list[int]:
        """Poll until enough nodes are connected or the limit is over; return them in order of id."""
        since_s = time.time()
        while True:
            nodes = sorted(grid.get_node_ids())
            if len(nodes) >= self.min_available_nodes:
                return nodes
            if time.time() - since_s >= self.wait_limit_s:
                log(WARNING, "Only %d of %d nodes are connected", len(nodes), self.min_available_nodes)
                return nodes
            time.sleep(POLL_S)

    def keep(self) -> dict[str, Any]:
        """Return what has to survive the end of the process, as JSON."""
        return {"threshold": self.threshold}

    def restore(self, kept: Mapping[str, Any]) -> None:
        """Take back what an earlier run's `keep` gave."""
        self.threshold = kept["threshold"]

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Average the good replies and renew the threshold, if there are enough of them.

        Returns:
            The new model, or None to keep the old one; and metrics: the clients' averages, `round.replies`
            (good ones), `round.accepted` (1 or 0).
        """
        answered = [reply for reply in replies if not reply.has_error()]
        good = _alike([reply for reply in answered if self._is_usable(reply)])
        good.sort(key=lambda reply: reply.metadata.src_node_id)
        good = self._short_enough(good)
        if len(good) < len(answered):
            log(WARNING, "aggregate_train: %d unusable replies left out", len(answered) - len(good))
        wanted = max(self.min_replies, least_replies(self.rule, self.hostile))
        is_accepted = len(good) >= wanted
        summary: dict[str, MetricRecordValues] = {
            "round.replies": float(len(good)),
            "round.accepted": float(is_accepted),
        }
        self.latest_round = summary
        if not is_accepted:
            log(WARNING, "Round %d: %d of %d replies, model kept", server_round, len(good), wanted)
            return None, MetricRecord(summary)
        counts = combine([_score_counts(reply.content) for reply in good])
        if self.rule == "fedavg":
            arrays, metrics = super().aggregate_train(server_round, good)
        else:
            arrays, metrics = RULES[self.rule](len(good), self.hostile).aggregate_train(server_round, good)
        self.threshold = quantile_of(counts, self.threshold_quantile)
        return arrays, MetricRecord({**dict(metrics or {}), **summary})

    def _is_usable(self, reply: Message) -> bool:
        """Tell whether a reply can be averaged with the others."""
        content = reply.content
        if len(content.array_records) != 1 or len(content.metric_records) != 1 or self._sent is None:
            return False
        (metrics,), (arrays,) = content.metric_records.values(), content.array_records.values()
        examples = metrics.get(self.weighted_by_key, 0)
        if isinstance(examples, list) or not 0 < examples < float("inf"):
            return False
        try:
            combine([_score_counts(content)])
        except ValueError:
            return False
        return same_form(arrays, self._sent)

    def _short_enough(self, replies: list[Message]) -> list[Message]:
        """Return the replies whose update is not longer than the bound allows."""
        if self.length_bound <= 0 or self._sent is None:
            return replies
        lengths = [update_length(next(iter(reply.content.array_records.values())), self._sent) for reply in replies]
        kept = within_bound(lengths, self.length_bound)
        return [reply for reply, is_kept in zip(replies, kept, strict=True) if is_kept]


def _alike(replies: list[Message]) -> list[Message]:
    """Return the replies with the commonest set of metric names: names must agree to be averaged."""
    if not replies:
        return []
    names = [frozenset(next(iter(reply.content.metric_records.values()))) for reply in replies]
    commonest, _ = Counter(names).most_common(1)[0]
    return [reply for reply, own in zip(replies, names, strict=True) if own == commonest]


def _score_counts(content: RecordDict) -> list[int]:
    """Return the score histogram of a reply; empty if it has none."""
    record = content.config_records.get(SCORES_RECORD, ConfigRecord())
    counts = record.get(SCORE_COUNTS, [])
    whole = isinstance(counts, list) and all(type(count) is int for count in counts)
    return list(cast(Sequence[int], counts)) if whole else []
