"""One gradient step on data that depends on the partition alone."""

import numpy as np
from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

app = ClientApp()


def local_step(weights: np.ndarray, partition: int) -> tuple[np.ndarray, float]:
    """Return the weights after one step towards the partition's target, and the loss before it."""
    target = np.random.Generator(np.random.PCG64(partition)).normal(size=weights.shape)
    error = weights - target
    return weights - 0.5 * error, float(np.mean(error**2))


@app.train()
def train(message: Message, context: Context) -> Message:
    partition = int(context.node_config["partition-id"])
    if partition == context.run_config["raise-on"]:
        raise RuntimeError("this client was told to fail")
    weights = message.content["arrays"]["weights"].numpy()
    updated, loss = local_step(weights, partition)
    content = RecordDict(
        {
            "arrays": ArrayRecord({"weights": Array(updated)}),
            "metrics": MetricRecord({"num-examples": 10 + partition, "loss": loss}),
        }
    )
    return Message(content, reply_to=message)


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    weights = message.content["arrays"]["weights"].numpy()
    _, loss = local_step(weights, int(context.node_config["partition-id"]))
    return Message(RecordDict({"metrics": MetricRecord({"num-examples": 1, "loss": loss})}), reply_to=message)
