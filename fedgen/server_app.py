# SPDX-License-Identifier: Apache-2.0
"""The coordinator's side: choose the data, run the rounds, test the model after each."""

from dataclasses import replace
from typing import Any

from flwr.app import ArrayRecord, ConfigRecord, Context, MetricRecord
from flwr.serverapp import Grid, ServerApp

from fedgen import task
from fedgen.client_app import SOURCE_USED
from fedgen.config import AppConfig, parse_config
from fedgen.data.sources import choose_source
from fedgen.data.windows import PreparedPatient
from fedgen.privacy.kinds import parse_kind
from fedgen.privacy.server import private_strategy
from fedgen.strategies import TolerantFedAvg
from fedgen.strategies.central_training import CentralTraining
from fedgen.work import WorkReport, add_notice, add_provenance, add_to_context

GLOBAL_MODEL = "global-model"
EVALUATION = "evaluation-round-{}"

app = ServerApp()


def build_strategy(config: AppConfig, context: Context, initial: ArrayRecord) -> TolerantFedAvg:
    """Return the strategy that a configuration asks for.

    Args:
        config: The settings.
        context: Where a protected run leaves its work reports and what it has released.
        initial: The model before training.
    """
    rules: dict[str, Any] = {
        "min_replies": config.min_replies,
        "fraction_train": config.fraction_train,
        "min_available_nodes": config.min_available_nodes,
        "threshold_quantile": config.threshold_quantile,
        "round_interval_s": config.round_interval_s,
        "wait_limit_s": config.round_deadline_s,
        "seed": config.seed,
        "rule": config.strategy_kind,
        "hostile": config.strategy_hostile,
        "length_bound": config.strategy_length_bound,
    }
    if config.training_place == "server":
        return CentralTraining(config, context, initial, **rules)
    kind = parse_kind(config.privacy_kind)
    return private_strategy(kind, config, context, initial, rules) if kind.is_private else TolerantFedAvg(**rules)


class GlobalTest:
    """Tests the global model on the server's patients and keeps record in the context."""

    def __init__(
        self,
        config: AppConfig,
        patients: list[PreparedPatient],
        strategy: TolerantFedAvg,
        context: Context,
    ) -> None:
        """Keep what a test needs; nothing is computed yet."""
        self.model = task.new_model(config)
        self.patients = patients
        self.strategy = strategy
        self.context = context
        self.unreported_samples = float(sum(patient.raw_samples for patient in patients))

    def __call__(self, server_round: int, arrays: ArrayRecord) -> MetricRecord:
        """Return a model's metrics (see `fedgen.task.evaluate`) and how the round went; both as one record.

        Round 0, before any training, has no threshold yet.
        """
        self.model.load_state_dict(arrays.to_torch_state_dict())
        measured, work = task.evaluate(self.model, self.patients, self.strategy.threshold)
        self._report(work)
        metrics = MetricRecord({**measured, **self.strategy.latest_round})
        self.context.state[EVALUATION.format(server_round)] = metrics
        return metrics

    def _report(self, work: WorkReport) -> None:
        """Add the work of one test, with the cleaning of the test signals in the first."""
        add_to_context(self.context, replace(work, signal_samples=self.unreported_samples))
        self.unreported_samples = 0.0


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run all rounds.

    Leaves in `context.state`: `evaluation-round-<r>` after each test, `global-model` at the end, `notices`
    for the user, and `work-report` (see `fedgen.work`).

    Raises:
        ConfigError: The run configuration has faults.
        DataError: The patient data cannot be had.
    """
    config = parse_config(context.run_config)
    used, source, notice = choose_source(config.data_source, config.data_otherwise, config.data_dir, config.seed)
    if notice is not None:
        add_notice(context, notice)
    add_provenance(context, used, source.digest())
    initial = ArrayRecord(dict(task.new_model(config).state_dict()))
    strategy = build_strategy(config, context, initial)
    result = strategy.start(
        grid=grid,
        initial_arrays=initial,
        num_rounds=config.num_server_rounds,
        timeout=config.round_deadline_s,
        train_config=ConfigRecord({SOURCE_USED: used}),
        evaluate_fn=GlobalTest(config, task.test_patients(source, config), strategy, context),
    )
    context.state[GLOBAL_MODEL] = result.arrays if len(result.arrays) else initial
