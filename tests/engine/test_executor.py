"""The pool: results by key in any order, a worker that dies, and a journal that remembers."""

import os

import numpy as np
import pytest
from flwr.app import Array as FlowerArray
from flwr.app import ArrayRecord, Message, RecordDict
from flwr.clientapp import ClientApp

from emulator.flower import adapter
from emulator.flower.executor import Executor
from emulator.flower.journal import Journal
from emulator.flower.worker import Job

app = ClientApp()


@app.query()
def query(message, context):
    if context.node_config["partition-id"] == 13:
        os._exit(3)
    value = message.content["a"]["x"].numpy() + np.random.random()
    return Message(RecordDict({"a": ArrayRecord({"x": FlowerArray(value)})}), reply_to=message)


def make_job(number: int, size: int = 10) -> Job:
    adapter.set_identity(adapter.SERVER_NODE_ID)
    message = Message(RecordDict({"a": ArrayRecord({"x": FlowerArray(np.full(size, float(number)))})}), 5, "query")
    metadata = adapter.instruction_metadata(message, f"m{number}", 1.8e9)
    data = adapter.message_to_bytes(adapter.build_message(metadata, content=message.content))
    empty = adapter.content_to_bytes(RecordDict())
    return Job(f"node#{number}", 5, {"partition-id": number, "num-partitions": 20}, data, empty, seed=number)


@pytest.fixture
def make_executor(tmp_path):
    made = []

    def make(workers: int = 2, journal: Journal | None = None) -> Executor:
        executor = Executor(
            app, {}, workers=workers, journal=Journal(None) if journal is None else journal, log_path=tmp_path / "log"
        )
        made.append(executor)
        return executor

    yield make
    for executor in made:
        executor.close()


def test_results_come_by_key_in_any_order(make_executor):
    executor = make_executor()
    jobs = [make_job(n) for n in range(8)]
    for job in jobs:
        executor.submit(job)
    for job in reversed(jobs):
        reply = adapter.message_from_bytes(executor.result(job).reply)
        expected = int(job.key.split("#")[1])
        assert expected <= reply.content["a"]["x"].numpy()[0] < expected + 1


def test_messages_larger_than_any_pipe_do_not_block(make_executor):
    executor = make_executor(workers=1)
    jobs = [make_job(n, size=200_000) for n in range(4)]
    for job in jobs:
        executor.submit(job)
    assert [executor.result(job).sizes.total_bytes > 1_600_000 for job in jobs] == [True] * 4


def test_worker_that_dies_fails_its_job_and_no_other(make_executor):
    executor = make_executor(workers=1)
    jobs = [make_job(n) for n in (12, 13, 14, 15)]
    for job in jobs:
        executor.submit(job)
    outcomes = {job.key: executor.result(job) for job in jobs}
    assert "exit code 3" in outcomes["node#13"].error
    assert adapter.message_from_bytes(outcomes["node#13"].reply).has_error()
    assert all(not outcomes[f"node#{n}"].error for n in (12, 14, 15))


def test_worker_killed_while_idle_is_replaced(make_executor):
    executor = make_executor(workers=1)
    executor.result(make_job(1))
    process = next(iter(executor._workers.values()))
    process.kill()
    process.join()
    assert not executor.result(make_job(2)).error


def test_worker_killed_under_a_job_gets_one_more_try(make_executor, tmp_path):
    executor = make_executor(workers=1)
    job = make_job(17)
    executor.submit(job)
    next(iter(executor._workers.values())).kill()
    assert not executor.result(job).error


def test_journal_remembers_exactly_the_same_call(make_executor, tmp_path):
    path = tmp_path / "journal.bin"
    first = make_executor(journal=Journal(path))
    outcome = first.result(make_job(3))
    again = make_executor(journal=Journal(path))
    assert again.result(make_job(3)) == outcome
    assert again.calls == 0
    other = Job(**{**make_job(3).__dict__, "seed": 99})
    assert again.result(other).reply != outcome.reply
    assert again.calls == 1


def test_torn_journal_loses_only_its_last_record(make_executor, tmp_path):
    path = tmp_path / "journal.bin"
    executor = make_executor(journal=Journal(path))
    for number in range(3):
        executor.result(make_job(number))
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(size - 10)
    journal = Journal(path)
    assert len(journal) == 2
    late = make_executor(journal=journal)
    late.result(make_job(2))
    assert len(Journal(path)) == 3
