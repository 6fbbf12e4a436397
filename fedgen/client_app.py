# SPDX-License-Identifier: Apache-2.0
"""The clinic's side: train on the clinic's own patients, send weights and a score histogram."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import cast

from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from fedgen import task
from fedgen.config import AppConfig, parse_config
from fedgen.data.partition import patients_of_client
from fedgen.data.sources import open_source
from fedgen.errors import ConfigError, DataError
from fedgen.privacy.client import Share, protected_training
from fedgen.privacy.frame import Call, Query
from fedgen.privacy.kinds import parse_kind
from fedgen.privacy.registry import QUERIES
from fedgen.raw_signals import pack_portion
from fedgen.strategies.tolerant_fedavg import SCORE_COUNTS, SCORES_RECORD
from fedgen.threats.poison import poisoned
from fedgen.work import WORK_REPORT, WorkReport

SOURCE_USED = "data.source-used"
PREPARED = "prepared"

app = ClientApp()


def _own_share(message: Message, context: Context, config: AppConfig) -> Share:
    """Return which part of the data this client has, from the source that the server decided on."""
    for key in ("partition-id", "num-partitions"):
        if key not in context.node_config:
            raise DataError(f"the node configuration lacks {key}, which says which patients this client has")
    partition, partitions = (int(context.node_config[key]) for key in ("partition-id", "num-partitions"))
    used = str(message.content.config_records["config"].get(SOURCE_USED, config.data_source))
    return Share(open_source(used, config.data_dir, config.seed, config.data_fold), partition, partitions)


def _counted_once(context: Context, work: WorkReport) -> WorkReport:
    """Report the cleaning of signals in the first call only: a device keeps the result on its disk."""
    if PREPARED in context.state.config_records:
        return replace(work, signal_samples=0.0)
    context.state[PREPARED] = ConfigRecord({"done": True})
    return work


@app.train()
def train(message: Message, context: Context) -> Message:
    """Train the received model on this clinic's normal beats.

    Returns:
        A reply with `arrays` (new weights), `metrics` (`num-examples`, `train-loss`), `scores` (histogram of
        normal scores) and `work-report`; under a privacy mechanism what `fedgen.privacy.client` says instead.
    """
    config = parse_config(context.run_config)
    share = _own_share(message, context, config)
    server_round = cast(int, message.content.config_records["config"]["server-round"])
    share = replace(share, source=poisoned(share.source, context.node_config, server_round))
    kind = parse_kind(config.privacy_kind)
    if kind.is_private:
        seed = task.derived_seed("contribution", config.seed, share.partition, server_round)
        content, work = protected_training(Call(context, config, server_round, seed), message, share, kind)
        content[WORK_REPORT] = _counted_once(context, work).to_record()
        return Message(content=content, reply_to=message)
    result = task.train_client(
        OrderedDict(message.content.array_records["arrays"].to_torch_state_dict()),
        task.client_patients(share.source, config, share.partition, share.partitions),
        config,
        partition=share.partition,
        server_round=server_round,
    )
    content = RecordDict(
        {
            "arrays": ArrayRecord(result.state),
            "metrics": MetricRecord({"num-examples": result.examples, "train-loss": result.train_loss}),
            SCORES_RECORD: ConfigRecord({SCORE_COUNTS: result.score_counts}),
            WORK_REPORT: _counted_once(context, result.work).to_record(),
        }
    )
    return Message(content=content, reply_to=message)


@app.train("signals")
def send_signals(message: Message, context: Context) -> Message:
    """Send the round's portion of this clinic's raw recordings, for a server that trains itself (`training.place`)."""
    config = parse_config(context.run_config)
    if config.training_place != "server":
        raise ConfigError("raw signals leave a clinic only where training.place is server")
    share = _own_share(message, context, config)
    names = patients_of_client(share.source.train_patients(share.partitions), share.partition, share.partitions)
    server_round = cast(int, message.content.config_records["config"]["server-round"])
    content = pack_portion((share.source.recording(name) for name in names), server_round, config.num_server_rounds)
    content[WORK_REPORT] = WorkReport().to_record()
    return Message(content=content, reply_to=message)


def _answer(query: Query) -> Callable[[Message, Context], Message]:
    """Return the ClientApp function that answers one kind of question."""

    def answer(message: Message, context: Context) -> Message:
        content = query(context, message.content, parse_config(context.run_config))
        if WORK_REPORT not in content:  # no work worth counting is a report too: without one the call would be timed
            content[WORK_REPORT] = WorkReport().to_record()
        return Message(content=content, reply_to=message)

    return answer


for _action, _query in QUERIES.items():
    app.query(_action)(_answer(_query))


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    """Score the received model on this clinic's own training patients, all classes.

    The server of this app does not ask for it; a strategy with client-side evaluation can.

    Returns:
        A reply with `metrics` (`num-examples`, `loss`) and `work-report`.
    """
    config = parse_config(context.run_config)
    share = _own_share(message, context, config)
    patients = task.client_patients(share.source, config, share.partition, share.partitions)
    model = task.new_model(config)
    model.load_state_dict(message.content.array_records["arrays"].to_torch_state_dict())
    measured, work = task.evaluate(model, patients, None)
    work = replace(work, signal_samples=float(sum(patient.raw_samples for patient in patients)))
    beats = sum(len(patient.classes) for patient in patients)
    content = RecordDict(
        {
            "metrics": MetricRecord({"num-examples": beats, "loss": measured["loss"]}),
            WORK_REPORT: _counted_once(context, work).to_record(),
        }
    )
    return Message(content=content, reply_to=message)
