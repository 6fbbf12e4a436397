"""FedAdam as it ships with Flower."""

import torch
from flwr.app import ArrayRecord, Context
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAdam

from torch_app.client import make_model

app = ServerApp()


def initial_arrays() -> ArrayRecord:
    torch.manual_seed(0)
    return ArrayRecord(make_model().state_dict())


def make_strategy(nodes: int) -> FedAdam:
    return FedAdam(fraction_evaluate=0.0, min_train_nodes=nodes, min_available_nodes=nodes, eta=0.05)


@app.main()
def main(grid: Grid, context: Context) -> None:
    strategy = make_strategy(int(context.run_config["min-nodes"]))
    strategy.start(grid, initial_arrays(), num_rounds=int(context.run_config["num-server-rounds"]))
