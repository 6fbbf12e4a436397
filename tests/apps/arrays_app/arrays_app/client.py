"""Answers with as many arrays of the same size as it was sent, after ``compute-s`` seconds."""

import time

from flwr.app import Context, Message
from flwr.clientapp import ClientApp

from arrays_app.messages import make_reply

app = ClientApp()


@app.train()
def train(message: Message, context: Context) -> Message:
    arrays = list(message.content["arrays"].values())
    round_number = int(message.content["config"]["server-round"])
    partition = int(context.node_config["partition-id"])
    time.sleep(float(context.run_config["compute-s"]))
    seed = 1000 * (partition + 1) + round_number
    return Message(make_reply(len(arrays), arrays[0].numpy().size, seed), reply_to=message)
