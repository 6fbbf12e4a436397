"""How the ServerApp gets its replies: pulls as Flower's grid makes them, and what the SuperLink answers by itself (flwr 1.41).

A pull names every message that is still open. The SuperLink hands over the replies it knows of, and errors of its
own: for a node that fell off the list, and for a message whose time to live is over. It then forgets the message, so
that a reply that comes later is refused. It knows of a reply from its announcement on, while objects are still on
their way: the grid then asks for those, after 1, 2, 4, 8, 10, 10 ... s, and does nothing else meanwhile, not even
look at its deadline. Where the upload's session expires, the reply becomes an error.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import simpy

from emulator.backends.des.state import Delivery
from emulator.flower import adapter
from emulator.flower.protocol import FIRST_RETRY_S, LONGEST_RETRY_S

if TYPE_CHECKING:
    from emulator.backends.des.world import World

LONGEST_PULL_S: Final = 7200.0
"""The grid gives up a reply whose objects do not come (flwr.supercore.constant, PULL_MAX_TIME)."""


class Post:
    """Messages about which the next pull may learn something, so that a ServerApp that waits sleeps through empty pulls."""

    def __init__(self, env: simpy.Environment) -> None:
        self._env = env
        self._new: dict[str, Delivery] = {}
        self._event: simpy.Event | None = None

    def put(self, delivery: Delivery) -> None:
        """There may be something new about this message."""
        self._new[delivery.key] = delivery
        if self._event is not None and not self._event.triggered:
            self._event.succeed()

    def take(self) -> list[Delivery]:
        """Return what is new, and forget it."""
        new, self._new = list(self._new.values()), {}
        return new

    def event(self) -> simpy.Event:
        """Return an event that triggers with the next news; at once where there are some."""
        self._event = self._env.event()
        if self._new:
            self._event.succeed()
        return self._event


def await_replies(world: World, deliveries: Sequence[Delivery], timeout_s: float | None) -> set[str]:
    """Pull every ``serverapp_poll_s`` until all deliveries are answered or ``timeout_s`` virtual seconds are over.

    Pulls that find nothing take no step of their own. Past the deadline Flower's grid sleeps out its pause and
    returns without another look, so that replies after its last pull are late.

    Returns:
        Keys of the deliveries that were answered.
    """
    deadline_s = math.inf if timeout_s is None else world.now_s + timeout_s
    period_s = world.plan.flower.serverapp_poll_s
    waiting = {delivery.key: delivery for delivery in deliveries}
    answered: set[str] = set()
    news = list(deliveries)
    while waiting and world.now_s < deadline_s:
        world.server.wait_until_up()
        for delivery in pull(world, [delivery for delivery in news if delivery.key in waiting]):
            answered.add(delivery.key)
            del waiting[delivery.key]
        if not waiting:
            break
        pulled_s = world.now_s
        expiry_s = min(delivery.expires_s for delivery in waiting.values())
        world.run_until(min(deadline_s, expiry_s), world.post.event())
        periods = math.ceil((world.now_s - pulled_s) / period_s - 1e-9) if period_s > 0 else 0
        world.run_until(max(world.now_s, pulled_s + max(1, periods) * period_s))
        news = world.post.take()
        if world.now_s >= expiry_s:
            news = list(waiting.values())
    return answered


def pull(world: World, deliveries: Sequence[Delivery]) -> list[Delivery]:
    """Ask the SuperLink once about these messages; returns those that are now answered, in the same order."""
    found = []
    for delivery in deliveries:
        if not delivery.done.triggered and delivery.announced_s > world.now_s:
            if world.now_s >= delivery.expires_s:
                withdraw(world, delivery, adapter.MESSAGE_UNAVAILABLE, "time to live over")
            elif not world.presence.is_listed(world.nodes[delivery.node]):
                withdraw(world, delivery, adapter.NODE_UNAVAILABLE, "node unavailable")
            else:
                continue
        found.append(delivery)
    for delivery in found:
        _collect(world, delivery)
    return found


def _collect(world: World, delivery: Delivery) -> None:
    """Wait for the objects of a reply that was announced."""
    began_s, pause_s = world.now_s, FIRST_RETRY_S
    while not delivery.done.triggered:
        if world.now_s >= delivery.session_ends_s or world.now_s - began_s >= LONGEST_PULL_S:
            withdraw(world, delivery, adapter.MESSAGE_UNAVAILABLE, "upload not complete in time")
            return
        world.run_until(world.now_s + pause_s)
        world.server.wait_until_up()
        pause_s = min(2 * pause_s, LONGEST_RETRY_S)


def withdraw(world: World, delivery: Delivery, code: int, reason: str) -> None:
    """Answer with Flower's error and forget the message: where it was not fetched yet it never will be."""
    delivery.is_withdrawn = True
    node = world.nodes[delivery.node]
    if delivery in node.inbox:
        node.inbox.remove(delivery)
    reply = adapter.error_reply(delivery.metadata, code, reason, world.epoch_s())
    world.arrive(delivery, adapter.message_to_bytes(reply), adapter.object_sizes(reply), reason)
