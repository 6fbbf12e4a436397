"""Waiting for replies as Flower's grid does: a pull every ``serverapp_poll_s`` until all are in or time is up."""

from __future__ import annotations

import math
from collections.abc import Sequence

from emulator.backends.des.state import Delivery
from emulator.backends.des.world import World
from emulator.flower import adapter


def await_replies(world: World, deliveries: Sequence[Delivery], timeout_s: float | None) -> None:
    """Run the world until all deliveries are answered or ``timeout_s`` virtual seconds are over.

    Ends on the grid's poll that finds the last reply, or on the first one after the deadline; empty polls take no step of
    their own. A message nobody answers gets Flower's error reply when its time to live is over.
    """
    began_s = world.now_s
    deadline_s = began_s + timeout_s if timeout_s is not None else math.inf
    pending = [delivery for delivery in deliveries if not delivery.done.triggered]
    while pending and world.now_s < deadline_s:
        expiry_s = min(delivery.pushed_s + delivery.metadata.ttl for delivery in pending)
        answered = world.env.all_of([delivery.done for delivery in pending])
        world.run_until(min(deadline_s, expiry_s), answered)
        for delivery in pending:
            if world.now_s >= delivery.pushed_s + delivery.metadata.ttl and not delivery.done.triggered:
                _expire(world, delivery)
        pending = [delivery for delivery in pending if not delivery.done.triggered]
    period_s = world.plan.flower.serverapp_poll_s
    if period_s > 0 and deliveries:
        polls = math.ceil((min(world.now_s, deadline_s) - began_s) / period_s - 1e-9)
        world.run_until(max(world.now_s, began_s + polls * period_s))


def _expire(world: World, delivery: Delivery) -> None:
    reply = adapter.error_reply(
        delivery.metadata, adapter.REPLY_UNAVAILABLE, "The message's time to live is over.", world.epoch_s()
    )
    world.arrive(delivery, adapter.message_to_bytes(reply), adapter.object_sizes(reply), "time to live over")
