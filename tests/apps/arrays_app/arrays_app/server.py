"""One ``send_and_receive`` to every node for each form; says what became of each, and where ``strict`` fails without one."""

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
        began_s = time.monotonic()
        replies = list(grid.send_and_receive(messages, timeout=600))
        bad = [reply for reply in replies if reply.has_error()]
        for reply in replies:
            said = f"error {reply.error.code}" if reply.has_error() else "ok"
            print(f"form {number}: {said} after {time.monotonic() - began_s:.2f} s", flush=True)
        if bool(context.run_config["strict"]) and (bad or len(replies) < len(nodes)):
            raise RuntimeError(f"{len(replies)} replies from {len(nodes)} nodes, {len(bad)} of them errors")
    time.sleep(float(context.run_config["linger-s"]))  # SuperNodes give messages of a run that is over up at once
