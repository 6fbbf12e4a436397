"""FedAvg over whoever is listed; leaves a work report and a notice in its context."""

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, MetricRecord
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    config = context.run_config
    context.state["notices"] = ConfigRecord({"0": "a notice from the app"})

    def evaluate(_round: int, arrays: ArrayRecord) -> MetricRecord:
        context.state["work-report"] = ConfigRecord({"infer_macs": 1e9})
        return MetricRecord({"mean": float(arrays["w"].numpy().mean())})

    nodes = int(config["min-nodes"])
    strategy = FedAvg(fraction_evaluate=0.0, min_train_nodes=nodes, min_available_nodes=nodes)
    strategy.start(
        grid,
        ArrayRecord({"w": Array(np.zeros(int(config["parameters"])))}),
        num_rounds=int(config["num-server-rounds"]),
        timeout=float(config["timeout-s"]),
        evaluate_fn=evaluate,
    )
