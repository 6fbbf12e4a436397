"""Counts its own calls in the context's state and adds the count to the weights."""

from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

app = ClientApp()


@app.train()
def train(message: Message, context: Context) -> Message:
    calls = int(context.state["calls"]["n"]) + 1 if "calls" in context.state else 1
    context.state["calls"] = MetricRecord({"n": calls})
    weights = message.content["arrays"]["w"].numpy()
    arrays = ArrayRecord({"w": Array(weights + calls + int(context.node_config["partition-id"]))})
    return Message(RecordDict({"arrays": arrays, "metrics": MetricRecord({"calls": calls})}), reply_to=message)
