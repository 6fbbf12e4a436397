# SPDX-License-Identifier: Apache-2.0
"""The coordinator's side: choose the data, run the rounds, test the model after each."""

from dataclasses import asdict, replace
from logging import INFO
from pathlib import Path
from typing import Any

from flwr.app import ArrayRecord, ConfigRecord, Context, MetricRecord
from flwr.common.logger import log
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import Strategy

from fedgen import task
from fedgen.checkpoint import Checkpoint, load_checkpoint
from fedgen.client_app import SOURCE_USED
from fedgen.config import AppConfig, parse_config
from fedgen.data.sources import choose_source
from fedgen.data.windows import PreparedPatient
from fedgen.errors import ConfigError
from fedgen.ledger.entries import arrays_digest
from fedgen.privacy.kinds import parse_kind
from fedgen.privacy.server import private_strategy
from fedgen.strategies import TolerantFedAvg
from fedgen.strategies.central_training import CentralTraining
from fedgen.strategies.continued import Continued, Evaluate
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


class Keeper:
    """Tests the model after a round, then writes the checkpoint."""

    def __init__(self, test: GlobalTest, strategy: TolerantFedAvg, config: AppConfig, source_used: str) -> None:
        """Keep what is needed."""
        self.test = test
        self.strategy = strategy
        self.folder = Path(config.checkpoint_dir)
        self.settings = experiment(config, source_used)

    def __call__(self, server_round: int, arrays: ArrayRecord) -> MetricRecord:
        """Return the test's metrics."""
        metrics = self.test(server_round, arrays)
        if server_round:
            Checkpoint(server_round, arrays, self.strategy.keep(), self.settings).save(self.folder)
        return metrics


def experiment(config: AppConfig, source_used: str) -> dict[str, Any]:
    """Return the settings that rounds depend on; others may change from one run to its continuation."""
    free = {"num_server_rounds", "checkpoint_dir", "data_dir", "round_deadline_s", "round_interval_s", "data_source"}
    settings = {name: value for name, value in asdict(config).items() if name not in free}
    return {**settings, "source": source_used}


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
    if config.checkpoint_dir and config.privacy_kind != "none":
        raise ConfigError(
            f"checkpoint-dir: got {config.checkpoint_dir!r} with privacy.kind {config.privacy_kind!r}; the clients of a "
            "protected run keep accounts and keys that a new run does not have: leave checkpoint-dir empty"
        )
    used, source, notice = choose_source(
        config.data_source, config.data_otherwise, config.data_dir, config.seed, config.data_fold
    )
    if notice is not None:
        add_notice(context, notice)
    add_provenance(context, used, source.digest())
    initial = ArrayRecord(dict(task.new_model(config).state_dict()))
    strategy = build_strategy(config, context, initial)
    test = GlobalTest(config, task.test_patients(source, config), strategy, context)
    evaluate: Evaluate = test
    running: Strategy = strategy
    rounds = config.num_server_rounds
    if config.checkpoint_dir:
        evaluate = keeper = Keeper(test, strategy, config, used)
        found = load_checkpoint(keeper.folder, keeper.settings)
        if found is not None:
            add_notice(context, f"Goes on after round {found.round} of an earlier run.")
            strategy.restore(found.kept)
            initial, rounds = found.arrays, max(0, rounds - found.round)
            running = continued = Continued(strategy, found.round)
            evaluate = continued.counted(keeper)
    result = running.start(
        grid=grid,
        initial_arrays=initial,
        num_rounds=rounds,
        timeout=config.round_deadline_s,
        train_config=ConfigRecord({SOURCE_USED: used}),
        evaluate_fn=evaluate,
    )
    context.state[GLOBAL_MODEL] = model = result.arrays if len(result.arrays) else initial
    log(INFO, "model at the end: SHA-256 %s", arrays_digest(model))
