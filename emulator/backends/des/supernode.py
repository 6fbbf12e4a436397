"""A SuperNode in virtual time: poll, download, compute, upload, one message at a time."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import simpy

from emulator.backends.des.requests import Carriage, announce_in, carry
from emulator.backends.des.state import Delivery, NodeState
from emulator.compute.costs import fits_memory, mechanism_seconds
from emulator.flower import adapter, protocol
from emulator.flower.adapter import ObjectSizes
from emulator.flower.worker import Outcome

if TYPE_CHECKING:
    from emulator.backends.des.world import World

Steps = Generator[simpy.Event, Any, Any]


class Crash(Exception):
    """The ClientApp process ends before its reply."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def serve(world: World, node: NodeState) -> Steps:
    """Handle the node's inbox until it is empty or the node goes down (then the message in hand is lost)."""
    try:
        while node.inbox:
            yield from _wait_for_poll(world, node)
            if not node.inbox:
                continue
            delivery = node.inbox.popleft()
            if world.env.now >= delivery.expires_s:
                world.row("message_dropped", node, delivery, note="time to live over")
                continue
            node.take_up(delivery, world.env.now)
            task_s = yield from _download(world, node, delivery)
            if task_s is not None:
                yield from _answer(world, node, delivery, task_s)
            node.put_down(world.env.now)
            # the last answer of the upload is on its way to the node, and the next poll follows at once
            node.poll_anchor_s = world.env.now + world.round_trip_s(node) / 2
    except simpy.Interrupt as interrupt:
        lose(world, node, str(interrupt.cause))
    finally:
        node.serving = None


def _wait_for_poll(world: World, node: NodeState) -> Steps:
    """Wait until the SuperNode's next poll that gets through."""
    while True:
        now_s = world.env.now
        period_s = world.plan.flower.supernode_poll_s + world.round_trip_s(node)
        yield world.env.timeout(protocol.next_poll_s(node.poll_anchor_s, now_s, period_s) - now_s)
        path_back = world.path_back(node)
        if path_back is None:
            return
        yield path_back  # by then the poll that met the outage is known to get through at ``poll_anchor_s``


def _download(world: World, node: NodeState, delivery: Delivery) -> Steps:
    """Fetch the message, and the app where it is missing; return when its task was created, None if it is lost."""
    flower, began_s = world.plan.flower, world.env.now
    first = None if node.has_app else world.bundle_bytes
    fresh = protocol.new_connections(began_s - node.lanes_used_s, flower, is_polling=True)
    exchange = protocol.download(delivery.sizes, flower, first_contact_bytes=first, new_connections=fresh)
    parts = protocol.object_bytes(exchange, delivery.sizes, first)
    is_there = yield from carry(world, node, Carriage("download", delivery, exchange, parts, handshakes=0))
    if not is_there:
        world.row("message_dropped", node, delivery, note="the answer to the poll was lost")
        return None
    yield world.env.timeout(world.superlink.delay_s(exchange.requests))
    node.has_app, node.lanes_used_s = True, world.env.now
    world.loads.add(node.up_hops, exchange.backward_bytes + exchange.backward_extra_bytes)
    world.loads.add(node.down_hops, exchange.forward_extra_bytes)
    took_s = world.env.now - began_s
    return began_s + protocol.announcement_s(took_s, exchange, first, world.round_trip_s(node))


def _answer(world: World, node: NodeState, delivery: Delivery, task_s: float) -> Steps:
    """Compute and upload; a crash becomes Flower's error reply once the SuperNode has noticed it."""
    confirmed_s = world.env.now + world.round_trip_s(node)
    try:
        outcome = yield from _compute(world, node, delivery, task_s)
        reply, sizes = outcome.reply, outcome.sizes
        note = "" if not outcome.error else outcome.error.strip().splitlines()[-1]
        look_s = protocol.next_poll_s(confirmed_s, world.env.now, world.plan.flower.reply_poll_s)
        yield world.env.timeout(look_s - world.env.now)
    except Crash as crash:
        yield world.env.timeout(world.plan.flower.offline_after_s)  # the task's own heartbeat has to lapse first
        message = adapter.error_reply(
            delivery.metadata, adapter.CRASHED, "ClientApp stopped responding.", world.epoch_s()
        )
        reply, sizes, note = adapter.message_to_bytes(message), adapter.object_sizes(message), crash.why
    node.phase = "upload"
    fault = world.placed_fault(node, delivery, "upload")
    if fault is not None:
        world.obey(node, fault)
    refusal = yield from _upload(world, node, delivery, sizes)
    if refusal:
        world.row("message_dropped", node, delivery, note=refusal)
    elif not delivery.done.triggered:
        world.arrive(delivery, reply, sizes, note)


def _compute(world: World, node: NodeState, delivery: Delivery, task_s: float) -> Steps:
    """Run the ClientApp for real and let its cost on the device pass in virtual time.

    The process starts once the task of ``task_s`` is noticed, which may be while objects still come; what of the start went by
    during the download is not charged again. A process that had to wait for the message is taken to have started later.
    """
    device = node.node.device
    assert device is not None  # the planner gives every client a device
    node.phase = "waiting"
    start_s = world.device_s(device, {"process_starts": 1.0})
    early_s = protocol.START_BEFORE_MESSAGE * start_s
    asks_from_s = world.superexec_look_s(node, task_s) + early_s
    begin_s = protocol.message_ready_s(asks_from_s, world.env.now) - early_s
    start_s -= max(0.0, world.env.now - begin_s)
    yield world.env.timeout(max(0.0, begin_s - world.env.now))
    kind = delivery.metadata.message_type.split(".")[0]
    node.phase = kind
    node.compute_started_s = world.env.now
    world.row("compute_started", node, delivery, note=kind)
    outcome = world.calls.outcome(node, delivery)
    work = dict(outcome.work or {})
    if outcome.work is None:
        peak_bytes = world.measurements.value(f"{delivery.key} peak_bytes", outcome.peak_bytes)
    else:
        peak_bytes = work.pop("peak_memory_bytes", 0.0)
    if fits_memory(device, peak_bytes) is False:
        yield world.env.timeout(node.compute_s(start_s, world.env.now))
        _compute_lost(world, node, delivery, "out of memory")
        raise Crash("out of memory")
    work_s = (
        world.device_s(device, work) if outcome.work is not None else world.measured_s(delivery.key, outcome, device)
    )
    fault = world.placed_fault(node, delivery, "train") if kind == "train" else None
    if fault is not None:
        yield world.env.timeout(node.compute_s(start_s + work_s / 2, world.env.now) + outcome.slept_s / 2)
        _compute_lost(world, node, delivery, fault.action)
        world.obey(node, fault)
        raise Crash(fault.action)
    took_s = node.compute_s(start_s + work_s, world.env.now)
    yield world.env.timeout(took_s + outcome.slept_s)
    for unit, seconds in mechanism_seconds(device, work).items():
        world.row("work_part", node, delivery, value=seconds * took_s / (start_s + work_s), note=unit)
    node.state = outcome.state
    node.phase = "reply"  # done, but not yet noticed: what goes wrong now loses the reply, not the work
    world.row("compute_finished", node, delivery, value=world.env.now - node.compute_started_s, note=kind)
    _log_metrics(world, node, delivery, outcome)
    return outcome


def _upload(world: World, node: NodeState, delivery: Delivery, sizes: ObjectSizes) -> Steps:
    """Send the reply; return why the SuperLink does not have it, empty where it does."""
    flower = world.plan.flower
    fresh = protocol.new_connections(world.env.now - node.lanes_used_s, flower, is_polling=False)
    handshakes = protocol.handshake_trips(flower) * (fresh >= flower.lanes)
    is_wanted = not delivery.is_withdrawn and world.env.now < delivery.expires_s
    if is_wanted:
        exchange = protocol.upload(sizes, flower, new_connections=fresh)
        parts = protocol.object_bytes(exchange, sizes)
        announce_in(world, node, delivery, (handshakes + 0.5) * world.round_trip_s(node))
    else:
        exchange = protocol.refused_reply(flower, sizes.objects, new_connections=fresh)
        parts = [exchange.forward_bytes]
    is_stored = yield from carry(world, node, Carriage("upload", delivery, exchange, parts, handshakes=handshakes))
    yield world.env.timeout(world.superlink.delay_s(exchange.requests))
    node.lanes_used_s = world.env.now
    world.loads.add(node.down_hops, exchange.backward_bytes + exchange.backward_extra_bytes)
    world.loads.add(node.up_hops, exchange.forward_extra_bytes)
    if not is_wanted:
        return "the SuperLink has given the message up"
    return "" if is_stored else "push session over"


def _log_metrics(world: World, node: NodeState, delivery: Delivery, outcome: Outcome) -> None:
    for name, value in sorted(outcome.metrics.items()):
        world.log.append(
            world.env.now, "metric", round=delivery.round, node=node.name, msg=delivery.key, value=value, note=name
        )


def _compute_lost(world: World, node: NodeState, delivery: Delivery, why: str) -> None:
    world.row("compute_lost", node, delivery, value=world.env.now - node.compute_started_s, note=why)
    node.phase = "crashed"


def lose(world: World, node: NodeState, why: str) -> None:
    """The SuperNode is gone: whatever it had in hand is lost and will never be answered."""
    delivery, phase = node.current, node.phase
    node.put_down(world.env.now)
    if delivery is None:
        return
    if phase in ("download", "upload"):
        world.transfers.abort(f"{phase}/{delivery.key}", why)
    elif phase not in ("", "waiting", "crashed", "reply"):
        world.row("compute_lost", node, delivery, value=world.env.now - node.compute_started_s, note=why)
    world.row("message_dropped", node, delivery, note=why)


__all__ = ["lose", "serve"]
