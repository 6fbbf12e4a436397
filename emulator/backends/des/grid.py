"""A Flower ``Grid`` in virtual time: the ServerApp's only way to the world, and what moves the clock.

Every call first lets the ServerApp's own work since the last call pass on the server (``settle``). An empty pull or a node list
costs a round trip to the SuperLink, so that polling loops advance. Replies of one ``send_and_receive`` come back in the order in
which their messages were pushed: Flower hands them over by arrival, and sums floats in that order; a fixed order makes the
weights depend on who took part and not on who was faster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from flwr.app import Message, RecordDict
from flwr.serverapp import Grid
from flwr.supercore.run import Run

from emulator.backends.des.rounds import Rounds
from emulator.backends.des.sample import Crowd
from emulator.backends.des.serverwork import ServerWork
from emulator.backends.des.state import Delivery
from emulator.backends.des.waiting import await_replies, pull
from emulator.backends.des.world import World
from emulator.errors import EmulatorError, RunFailed, Stalled
from emulator.flower import adapter
from emulator.flower.clock import EPOCH_S, real_time_inside
from emulator.interrupts import raise_if_interrupted

CALL_S = 0.001
"""One request from the ServerApp to the SuperLink on the same machine (estimate)."""
BUSY_READINGS = 100_000
BUSY_STEP_S = 0.01
"""So many readings of the clock with no Grid call between them are a busy wait; from then on each takes so long."""
STANDSTILL_S = 21600.0
STANDSTILL_CALLS = 200_000
"""Asking for so long (virtual time), or so often, in a world where nothing is to happen any more is waiting in vain."""


class VirtualGrid(Grid):
    """Sends and receives through ``world``.

    Args:
        world: The world to move.
        server_work: Accounts for the ServerApp's own computation.
        rounds: Keeps track of rounds for the log.
        crowd: The clients that do not train.
    """

    def __init__(self, world: World, server_work: ServerWork, rounds: Rounds, crowd: Crowd) -> None:
        self._world = world
        self._server_work = server_work
        self._rounds = rounds
        self._crowd = crowd
        self._deliveries: dict[str, Delivery] = {}
        self._idle_calls = 0
        self._idle_from_s = 0.0
        self._readings = 0
        self.failure: EmulatorError | None = None
        self.on_push: Callable[[int, Message], None] = lambda _round, _message: None

    # -- Flower's interface -------------------------------------------------------------------------------------

    def set_run(self, run: Run) -> None:
        """Accepted and ignored: there is one run."""

    @property
    def run(self) -> Run:
        """Run information."""
        return adapter.empty_run()

    def create_message(
        self, content: RecordDict, message_type: str, dst_node_id: int, group_id: str, ttl: float | None = None
    ) -> Message:
        """Create a message (Flower's deprecated way)."""
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)

    def get_node_ids(self) -> list[int]:
        """Return the numbers of the nodes the SuperLink has heard from lately."""
        with self._emulating("get_node_ids"):
            self._world.run_until(self._world.now_s + CALL_S)
            return [node.node_id for node in self._crowd.visible(self._world.listed_nodes())]

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        """Leave messages at the SuperLink; returns their identifiers."""
        batch = list(messages)
        with self._emulating("push_messages"):
            self._idle_calls = 0
            return [delivery.metadata.message_id for delivery in self._push(batch)]

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        """Return the replies to these messages that are at the SuperLink and were not pulled before."""
        wanted = list(message_ids)
        with self._emulating("pull_messages"):
            self._world.run_until(self._world.now_s + CALL_S)
            asked = [self._deliveries[key] for key in wanted if key in self._deliveries]
            self._crowd.take([delivery.key for delivery in pull(self._world, self._crowd.open())])
            return self._pull(pull(self._world, [delivery for delivery in asked if not delivery.is_pulled]))

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> list[Message]:
        """Push messages and wait until all are answered or ``timeout`` virtual seconds are over."""
        batch = list(messages)
        with self._emulating("send_and_receive"):
            self._idle_calls = 0
            deliveries = self._push(batch)
            answered = await_replies(self._world, [*deliveries, *self._crowd.open()], timeout)
            replies = self._pull([delivery for delivery in deliveries if delivery.key in answered])
            self._crowd.take(sorted(answered))
            self._crowd.abandon()
            for delivery in deliveries:
                delivery.is_abandoned = not delivery.is_pulled
            return replies

    # -- the clock of the ServerApp's thread ----------------------------------------------------------------------

    def now_s(self) -> float:
        """Virtual seconds, for ``time.time`` and its kin.

        A ServerApp that does nothing but read the clock, over and over, waits for it: then every reading lets time pass.
        """
        self._readings += 1
        if self._readings > BUSY_READINGS:
            self.sleep(BUSY_STEP_S)
            self._readings = BUSY_READINGS
        return self._world.now_s

    def sleep(self, seconds: float) -> None:
        """Let virtual time pass, for ``time.sleep``."""
        with self._emulating(f"time.sleep({seconds:g})"):
            self._world.run_until(self._world.now_s + seconds)

    def settle(self) -> None:
        """Let the ServerApp's work since the last call pass in virtual time."""
        with self._emulating("settle", is_idle=False):
            pass

    # -- inside -------------------------------------------------------------------------------------------------

    @contextmanager
    def _emulating(self, call: str, *, is_idle: bool = True) -> Iterator[None]:
        """Leave the app's world for ours and come back; an error of ours stays an error whatever the app catches."""
        if self.failure is not None:
            raise self.failure
        raise_if_interrupted()
        self._readings = 0
        with real_time_inside():
            try:
                self._server_work.settle()
                self._world.server.wait_until_up()
                if is_idle:
                    self._watch_for_standstill(call)
                yield
            except EmulatorError as error:
                self.failure = error
                raise
            except Exception as error:
                self.failure = RunFailed(f"internal error, please report it: {type(error).__name__}: {error}")
                raise self.failure from error
            finally:
                self._server_work.restart()

    def _watch_for_standstill(self, call: str) -> None:
        world = self._world
        if call.startswith("time."):
            return  # sleeping is no question; the horizon bounds it
        if not world.has_stopped() or self._waits_for_reply():  # the cheap question first: this is asked at every call
            self._idle_calls = 0
            return
        if self._idle_calls == 0:
            self._idle_from_s = world.now_s
        self._idle_calls += 1
        if self._idle_calls > STANDSTILL_CALLS or world.now_s - self._idle_from_s > STANDSTILL_S:
            raise Stalled(
                f"the ServerApp waits in vain: nothing more can happen after virtual time {self._idle_from_s:.0f} s, but it "
                f"keeps calling {call}; {world.waiting_for()}. Ask for fewer nodes or give a timeout"
            )

    def _waits_for_reply(self) -> bool:
        """Whether a message is unanswered that its time to live will still answer."""
        return any(not (d.done.triggered or d.is_abandoned) for d in self._deliveries.values())

    def _push(self, messages: list[Message]) -> list[Delivery]:
        world = self._world
        receivers = (world.node_by_id.get(message.metadata.dst_node_id) for message in messages)
        behind = self._crowd.behind(node.name for node in receivers if node is not None)
        addressed = len(messages) + sum(len(nodes) for nodes in behind.values())
        round_number = self._rounds.enter(messages, addressed=addressed)
        deliveries = []
        for message in messages:
            self.on_push(round_number, message)
            delivery = self._send(message, round_number)
            self._deliveries[delivery.metadata.message_id] = delivery
            self._rounds.sent(delivery)
            self._crowd.send(delivery, behind.get(delivery.node, ()))
            deliveries.append(delivery)
        if messages:
            world.run_until(world.now_s + CALL_S)
        return deliveries

    def _send(self, message: Message, round_number: int) -> Delivery:
        world = self._world
        node = world.node_by_id.get(message.metadata.dst_node_id)
        if node is None:
            known = ", ".join(str(number) for number in list(world.node_by_id)[:5])
            raise Stalled(
                f"a message is addressed to node {message.metadata.dst_node_id}, which does not exist; nodes: {known} ..."
            )
        metadata = adapter.instruction_metadata(message, f"{node.name}#{node.sent + 1}", world.epoch_s())
        sent = adapter.build_message(metadata, content=message.content)
        data, sizes = self._server_work.pack(sent)
        return world.send(metadata, data, sizes, node, round_number)

    def _pull(self, deliveries: list[Delivery]) -> list[Message]:
        replies = []
        for delivery in deliveries:
            if delivery.reply is None or delivery.is_pulled:
                continue
            delivery.is_pulled = True
            message = adapter.message_from_bytes(delivery.reply)
            message.metadata.created_at = EPOCH_S + delivery.arrived_s
            message.metadata.ttl = delivery.pushed_s + delivery.metadata.ttl - delivery.arrived_s
            delivery.reply = None
            self._server_work.received(message)
            self._rounds.replied(delivery, is_good=not message.has_error())
            replies.append(message)
        return replies
