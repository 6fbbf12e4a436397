# SPDX-License-Identifier: Apache-2.0
"""Training in one place, on raw signals that every clinic sends: the comparison for federated learning."""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import replace
from logging import WARNING
from typing import Any

from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.app.typing import MetricRecordValues
from flwr.common.logger import log
from flwr.serverapp import Grid

from fedgen import task
from fedgen.config import AppConfig
from fedgen.data.windows import prepare
from fedgen.evaluation.thresholds import quantile_of
from fedgen.raw_signals import Archive
from fedgen.strategies.tolerant_fedavg import TolerantFedAvg
from fedgen.work import WorkReport, add_to_context

SEND_SIGNALS = "train.signals"


class CentralTraining(TolerantFedAvg):
    """In each round every clinic sends its next portion of raw signal, and the server trains on all that has arrived.

    Rounds, deadlines, the least number of replies and the threshold are those of `TolerantFedAvg`; one epoch is the same pass
    over the beats, done in one place. The new model stays at the server: devices ask it nothing.
    """

    def __init__(self, config: AppConfig, context: Context, initial: ArrayRecord, **rules: Any) -> None:
        """Keep what training needs.

        Args:
            config: The settings.
            context: Where the server's work reports go.
            initial: The model before training.
            rules: See `TolerantFedAvg`.
        """
        super().__init__(**rules)
        self._config = config
        self._context = context
        self._state = initial
        self._archive = Archive()
        self._cleaned = 0.0

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Ask every sampled clinic for its next portion."""
        sampled = self._choose_nodes(server_round, grid)
        config["server-round"] = server_round
        return self._construct_messages(RecordDict({self.configrecord_key: config}), sampled, SEND_SIGNALS)

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Train on all signals that have arrived so far, if enough clinics answered."""
        good = sorted((r for r in replies if not r.has_error()), key=lambda reply: reply.metadata.src_node_id)
        taken = sum(self._take(reply) for reply in good)
        is_accepted = taken >= self.min_replies
        summary: dict[str, MetricRecordValues] = {"round.replies": float(taken), "round.accepted": float(is_accepted)}
        self.latest_round = summary
        if not is_accepted:
            log(WARNING, "Round %d: %d of %d replies, model kept", server_round, taken, self.min_replies)
            return None, MetricRecord(summary)
        limit = self._config.data_max_beats_per_patient
        patients = [task.choose_beats(prepare(recording), limit) for recording in self._archive.recordings()]
        state = OrderedDict(self._state.to_torch_state_dict())
        result = task.train_client(state, patients, self._config, partition=0, server_round=server_round)
        add_to_context(self._context, self._newly_cleaned(result.work))
        self._state = ArrayRecord(result.state)
        self.threshold = quantile_of(result.score_counts, self.threshold_quantile)
        return self._state, MetricRecord({"train-loss": result.train_loss, **summary})

    def _newly_cleaned(self, work: WorkReport) -> WorkReport:
        """Count the cleaning of a sample once, in the round in which it arrived."""
        new, self._cleaned = work.signal_samples - self._cleaned, work.signal_samples
        return replace(work, signal_samples=new)

    def _take(self, reply: Message) -> bool:
        try:
            self._archive.add(reply.content)
        except ValueError as error:
            log(WARNING, "A portion of node %d is left out: %s", reply.metadata.src_node_id, error)
            return False
        return True
