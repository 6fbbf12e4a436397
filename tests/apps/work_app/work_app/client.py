"""Adds random noise from the global generators, so that a lapse in seeding shows, and reports its work."""

import random

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

app = ClientApp()


@app.train()
def train(message: Message, context: Context) -> Message:
    weights = message.content["arrays"]["w"].numpy()
    seen = int(context.state["seen"]["n"]) + 1 if "seen" in context.state else 1
    context.state["seen"] = MetricRecord({"n": seen})
    update = weights + np.random.normal(size=weights.shape) + random.random() + seen
    content = RecordDict(
        {
            "arrays": ArrayRecord({"w": Array(update)}),
            "metrics": MetricRecord({"num-examples": 1, "seen": seen}),
            "work-report": ConfigRecord(
                {
                    "train_macs": float(context.run_config["train-macs"]),
                    "peak_memory_bytes": 1e6 * float(context.run_config["peak-memory-mb"]),
                }
            ),
        }
    )
    return Message(content, reply_to=message)
