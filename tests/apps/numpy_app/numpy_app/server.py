"""A ServerApp that uses whichever of Flower's strategies the run config names."""

import numpy as np
from flwr.app import Array, ArrayRecord, Context, MetricRecord
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp import strategy as strategies

app = ServerApp()


def initial_arrays(parameters: int) -> ArrayRecord:
    return ArrayRecord({"weights": Array(np.zeros(parameters))})


def distance(_round: int, arrays: ArrayRecord) -> MetricRecord:
    return MetricRecord({"norm": float(np.linalg.norm(arrays["weights"].numpy()))})


@app.main()
def main(grid: Grid, context: Context) -> None:
    config = context.run_config
    nodes = int(config["min-nodes"])
    strategy = getattr(strategies, config["strategy"])(
        fraction_train=config["fraction-train"],
        fraction_evaluate=config["fraction-train"] if config["evaluate"] else 0.0,
        min_train_nodes=nodes,
        min_evaluate_nodes=nodes,
        min_available_nodes=nodes,
    )
    strategy.start(
        grid,
        initial_arrays(config["parameters"]),
        num_rounds=config["num-server-rounds"],
        timeout=config["timeout-s"],
        evaluate_fn=distance,
    )
