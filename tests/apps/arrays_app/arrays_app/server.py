"""One ``send_and_receive`` to every node for each form; fails where a reply is missing."""

import time

from flwr.app import Context, Message
from flwr.serverapp import Grid, ServerApp

from arrays_app.messages import make_instruction, parse_forms

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    nodes: list[int] = []
    while len(nodes) < int(context.run_config["nodes"]):
        time.sleep(1)
        nodes = list(grid.get_node_ids())
    for number, (count, elements) in enumerate(parse_forms(str(context.run_config["forms"])), start=1):
        messages = [
            Message(
                make_instruction(count, elements, number), dst_node_id=node, message_type="train", group_id=str(number)
            )
            for node in nodes
        ]
        replies = list(grid.send_and_receive(messages, timeout=600))
        bad = [reply for reply in replies if reply.has_error()]
        if bad or len(replies) < len(nodes):
            raise RuntimeError(f"{len(replies)} replies from {len(nodes)} nodes, {len(bad)} of them errors")
