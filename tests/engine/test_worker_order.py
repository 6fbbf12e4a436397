"""Which call a worker gets next, and what a process of its own per call is for."""

import os

import numpy as np
from flwr.app import Array as FlowerArray
from flwr.app import ArrayRecord, Message, RecordDict
from flwr.clientapp import ClientApp

from emulator.flower import adapter
from emulator.flower.executor import Executor
from emulator.flower.journal import Journal
from emulator.flower.worker import Job

calls_seen = 0
app = ClientApp()


@app.query()
def query(message, context):
    global calls_seen
    calls_seen += 1
    for _ in range(int(message.content["a"]["x"].numpy()[0])):
        np.linalg.inv(np.eye(150))
    return Message(RecordDict({"a": ArrayRecord({"x": FlowerArray(np.array([float(calls_seen)]))})}), reply_to=message)


def make_job(call: int, node: int, effort: int) -> Job:
    adapter.set_identity(adapter.SERVER_NODE_ID)
    message = Message(RecordDict({"a": ArrayRecord({"x": FlowerArray(np.array([float(effort)]))})}), node, "query")
    metadata = adapter.instruction_metadata(message, f"m{node}#{call}", 1.8e9)
    data = adapter.message_to_bytes(adapter.build_message(metadata, content=message.content))
    state = adapter.content_to_bytes(RecordDict())
    return Job(f"{node}#{call}", node, {"partition-id": node, "num-partitions": 9}, data, state, seed=1)


def answer(executor: Executor, job: Job) -> float:
    return float(adapter.message_from_bytes(executor.result(job).reply).content["a"]["x"].numpy()[0])


def make_executor(tmp_path, **options) -> Executor:
    return Executor(app, {}, workers=1, journal=Journal(None), log_path=tmp_path / "log", **options)


def test_longest_call_of_the_last_time_goes_first(tmp_path):
    executor = make_executor(tmp_path)
    effort = {1: 1, 2: 400, 3: 60}
    for node, amount in effort.items():
        answer(executor, make_job(1, node, amount))
    blocker = make_job(2, 2, 400)
    for job in (blocker, make_job(2, 1, 1), make_job(2, 3, 60), make_job(3, 2, 1)):
        executor.submit(job)
    order = {
        node: answer(executor, make_job(call, node, amount))
        for call, node, amount in ((3, 2, 1), (2, 3, 60), (2, 1, 1))
    }
    executor.close()
    assert order[2] < order[3] < order[1]


def test_module_globals_live_on_in_a_shared_process_and_not_in_a_fresh_one(tmp_path):
    shared, fresh = make_executor(tmp_path), make_executor(tmp_path, fresh_process=True)
    assert [answer(shared, make_job(call, 1, 1)) for call in (1, 2)] == [1.0, 2.0]
    assert [answer(fresh, make_job(call, 1, 1)) for call in (1, 2)] == [1.0, 1.0]
    shared.close()
    fresh.close()


def test_crash_in_a_fresh_process_fails_its_call_and_no_other(tmp_path, monkeypatch):
    monkeypatch.setattr(np.linalg, "inv", lambda matrix: os._exit(3))
    executor = make_executor(tmp_path, fresh_process=True)
    assert "exit code 3" in executor.result(make_job(1, 1, 1)).error
    assert answer(executor, make_job(1, 2, 0)) == 1.0
    executor.close()
