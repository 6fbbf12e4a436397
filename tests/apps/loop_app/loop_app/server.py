"""A hand-written round: push, sleep, pull until all have answered; keeps time with the time module."""

import time

import numpy as np
from flwr.app import Array, ArrayRecord, Context, Message, RecordDict
from flwr.serverapp import Grid, ServerApp

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    weights = np.zeros(5)
    while len(list(grid.get_node_ids())) < int(context.run_config["wait-for"]):
        time.sleep(5)
    for _ in range(int(context.run_config["num-server-rounds"])):
        began = time.monotonic()
        content = RecordDict({"arrays": ArrayRecord({"w": Array(weights)})})
        messages = [Message(content, node_id, "train") for node_id in grid.get_node_ids()]
        waiting = set(grid.push_messages(messages))
        replies: list[Message] = []
        while waiting:
            time.sleep(2)
            pulled = list(grid.pull_messages(waiting))
            waiting -= {reply.metadata.reply_to_message_id for reply in pulled}
            replies += pulled
        print(f"round took {time.monotonic() - began:.1f} s")
        good = [reply for reply in replies if reply.has_content()]
        weights = np.mean([reply.content["arrays"]["w"].numpy() for reply in good], axis=0)
