"""Rounds in the log: one for each round of a strategy, also an empty one; sensible ones where no strategy says so."""

import itertools
import textwrap
from dataclasses import replace

import pytest
from engine_helpers import make_plan

HEAD = """
import numpy as np
from flwr.app import Array, ArrayRecord, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import ServerApp
from flwr.serverapp.strategy import FedAvg

client, server = ClientApp(), ServerApp()

@client.query()
def query(message, context):
    return Message(RecordDict(), reply_to=message)

@client.train()
def train(message, context):
    content = {"a": ArrayRecord({"w": Array(np.ones(3))}), "m": MetricRecord({"num-examples": 1})}
    return Message(RecordDict(content), reply_to=message)

def arrays():
    return ArrayRecord({"w": Array(np.zeros(3))})

def ask(grid, nodes, kind="train", group=""):
    content = RecordDict({"arrays": arrays()})
    return list(grid.send_and_receive([Message(content, n, kind, group_id=group) for n in nodes], timeout=100))

class Picky(FedAvg):
    def configure_train(self, server_round, arrays, config, grid):
        return [] if server_round == 2 else super().configure_train(server_round, arrays, config, grid)

@server.main()
def main(grid, context):
"""


NUMBERS = itertools.count()


@pytest.fixture
def run_server(run_plan, tmp_path):
    """Run a ServerApp whose main is the given text, with three clients."""

    def run(body: str):
        name = f"rounds_app_{next(NUMBERS)}"  # modules are imported once per process
        app = tmp_path / name
        (app / name).mkdir(parents=True)
        (app / "pyproject.toml").write_text(
            f'[tool.flwr.app.components]\nserverapp = "{name}.both:server"\nclientapp = "{name}.both:client"\n'
        )
        (app / name / "__init__.py").write_text("")
        (app / name / "both.py").write_text(HEAD + textwrap.indent(textwrap.dedent(body), "    "))
        plan = make_plan("numpy_app", 3)
        return run_plan(replace(plan, app=replace(plan.app, path=str(app), run_config={})))

    return run


def shape(outcome) -> list[tuple[int | None, float | None]]:
    """Return (round, clients answered) of every closed round."""
    return [(row.round, row.value) for row in outcome.rows("round_closed")]


def test_empty_round_of_a_strategy_keeps_its_number(run_server):
    outcome = run_server(
        """
        Picky(fraction_evaluate=0.0).start(grid, arrays(), num_rounds=3, evaluate_fn=lambda r, a: MetricRecord({"r": r}))
        """
    )
    assert shape(outcome) == [(1, 3), (2, 0), (3, 3)]
    assert [(row.round, row.value) for row in outcome.rows("metric", note="r")] == [(0, 0), (1, 1), (2, 2), (3, 3)]


def test_second_strategy_goes_on_counting_and_overwrites_nothing(run_server):
    outcome = run_server(
        """
        for _ in range(2):
            FedAvg(fraction_evaluate=0.0).start(grid, arrays(), num_rounds=2)
        """
    )
    assert shape(outcome) == [(1, 3), (2, 3), (3, 3), (4, 3)]
    assert outcome.weights(4)["w"].tolist() == [1.0, 1.0, 1.0]


def test_queries_before_the_strategy_open_no_round(run_server):
    outcome = run_server(
        """
        ask(grid, grid.get_node_ids(), "query")
        FedAvg(fraction_evaluate=0.0).start(grid, arrays(), num_rounds=2)
        """
    )
    assert shape(outcome) == [(1, 3), (2, 3)]
    assert {row.round for row in outcome.rows("message_pushed", note="query")} == {0}


@pytest.mark.parametrize("group", ["", "7", "²", "9" * 30])
def test_hand_written_rounds_are_numbered_in_order(run_server, group):
    outcome = run_server(
        f"""
        for _ in range(2):
            ask(grid, grid.get_node_ids(), group={group!r})
        """
    )
    assert shape(outcome) == [(1, 3), (2, 3)]


def test_one_message_at_a_time_is_one_round(run_server):
    outcome = run_server(
        """
        for _ in range(2):
            for node in grid.get_node_ids():
                ask(grid, [node])
        """
    )
    assert shape(outcome) == [(1, 3), (2, 3)]
