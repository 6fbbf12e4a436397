"""Timing without learning: rounds of messages of given size and work, and no ServerApp or ClientApp behind them.

For questions about a thousand or a hundred thousand devices that no training on one machine can answer. What is left out is
the model: there are no weights and no metrics. Everything the network, the protocol and the devices do is as in a real run.
"""

from __future__ import annotations

from flwr.app import Message, RecordDict
from flwr.app.metadata import Metadata

from emulator.backends.des.rounds import Rounds
from emulator.backends.des.state import Delivery, NodeState
from emulator.backends.des.waiting import await_replies
from emulator.backends.des.world import World
from emulator.errors import Stalled
from emulator.flower import adapter
from emulator.flower.adapter import ObjectSizes
from emulator.plan import TimingOnly

_LIST_NODES_S = 1.0
"""Pause between two looks at the list of nodes while too few are there (Flower's ``sample_nodes``)."""


def run_rounds(world: World, rounds: Rounds, spec: TimingOnly) -> None:
    """Carry out ``spec.rounds`` rounds: message to every listed node, wait, aggregate.

    Raises:
        Stalled: Fewer than ``spec.min_nodes`` nodes are listed and nothing more can happen.
    """
    template = _metadata(spec)
    for number in range(1, spec.rounds + 1):
        call = spec.call(number)
        sizes = ObjectSizes(call.download_objects, int(call.download_bytes))
        nodes = _wait_for_nodes(world, spec.min_nodes)
        rounds.open(len(nodes))
        deliveries = [world.send(template, b"", sizes, node, number) for node in nodes]
        found = await_replies(world, deliveries, spec.deadline_s)
        answered = [_take(rounds, delivery, is_found=delivery.key in found) for delivery in deliveries]
        _aggregate(world, call.upload_bytes, sum(answered))
    rounds.close()


def _take(rounds: Rounds, delivery: Delivery, *, is_found: bool) -> bool:
    """Hand a reply to the server, if it is there; the others are late."""
    if not is_found:
        delivery.is_abandoned = True
        return False
    is_good = not delivery.reply_note
    rounds.replied(delivery, is_good=is_good)
    return is_good


def _wait_for_nodes(world: World, at_least: int) -> list[NodeState]:
    world.server.wait_until_up()
    world.run_until(world.now_s)  # what happens at this very moment counts
    while len(nodes := world.listed_nodes()) < at_least:
        if world.has_stopped():
            raise Stalled(f"{at_least} nodes are needed for a round and nothing more can happen; {world.waiting_for()}")
        world.run_until(world.now_s + _LIST_NODES_S)
    return nodes


def _aggregate(world: World, upload_bytes: float, replies: int) -> None:
    elements = replies * upload_bytes / 4
    seconds = world.server_work_s({"array_elements": elements}) if elements else 0.0
    world.server.compute(seconds, "aggregate")


def _metadata(spec: TimingOnly) -> Metadata:
    adapter.set_identity(adapter.SERVER_NODE_ID)
    message = Message(RecordDict(), 1, "train", ttl=max(spec.deadline_s, 1.0) * 10)
    return adapter.instruction_metadata(message, "timing", 1.8e9)
