"""The parts of the packet-level model, each by itself."""

from __future__ import annotations

import pytest

from emulator.backends.des.tcp.control.cubic import Cubic
from emulator.backends.des.tcp.control.reno import Reno
from emulator.backends.des.tcp.control.windowed import WindowedMax
from emulator.backends.des.tcp.pipe import Pipe, stages
from emulator.backends.des.tcp.receiver import Ack, Receiver
from emulator.backends.des.tcp.rtt import make_estimator
from emulator.backends.des.tcp.scoreboard import Scoreboard
from emulator.backends.des.tcp.simulate import FlowSpec, LinkSpec, simulate
from emulator.backends.des.tcp.stack import LINUX_STACK, NS3_STACK
from emulator.backends.des.tcp.state import SocketState
from emulator.backends.des.tcp.tier import choose, estimate_events
from emulator.plan import Hop

MSS = 1448


def board(segments: int = 10) -> Scoreboard:
    made = Scoreboard(segments * MSS - 448, MSS, 3)
    for index in range(segments):
        made.send(index)
    return made


def test_three_sacked_segments_make_what_is_below_them_lost() -> None:
    scores = board()
    assert scores.in_flight() == 10 * MSS - 448
    scores.sack([(2, 4)])
    assert scores.next_lost() == -1
    scores.sack([(5, 6)])
    assert [scores.next_lost(), scores.lost_bytes] == [0, 2 * MSS]
    assert scores.in_flight() == 10 * MSS - 448 - 5 * MSS
    scores.send(0)
    assert scores.next_lost() == 1
    assert scores.is_retransmitted(0)


def test_a_cumulative_ack_takes_the_flags_with_it() -> None:
    scores = board()
    scores.sack([(1, 5)])
    scores.send(0)
    delivered, fresh, was_retransmitted = scores.acknowledge(5)
    assert (delivered, fresh, was_retransmitted) == (MSS, [0], True)
    assert (scores.sacked_bytes, scores.lost_bytes, scores.retransmitted_bytes) == (0, 0, 0)
    assert scores.in_flight() == 5 * MSS - 448
    scores.acknowledge(10)
    assert scores.in_flight() == 0


def test_a_time_out_loses_all_that_is_not_sacked() -> None:
    scores = board()
    scores.sack([(8, 10)])
    scores.time_out()
    assert scores.in_flight() == 0
    assert scores.next_lost() == 0
    assert scores.lost_bytes == 8 * MSS


def test_the_receiver_acks_every_second_segment_and_every_gap() -> None:
    sent: list[tuple[int, Ack]] = []
    receiver = Receiver(8, NS3_STACK, lambda now_ns, ack: sent.append((now_ns, ack)))
    for now_ns, index in enumerate([0, 1, 2, 4, 6, 4, 3, 5, 7]):
        receiver.take(now_ns, index, 0)
    acks = [(now_ns, ack.next_index, ack.blocks) for now_ns, ack in sent]
    assert acks == [
        (0, 1, ()),  # the first at once
        (2, 3, ()),  # then every second
        (3, 3, ((4, 5),)),
        (4, 3, ((6, 7), (4, 5))),  # the newest block first
        (5, 3, ((6, 7), (4, 5))),  # a duplicate
        (6, 5, ((6, 7),)),
        (7, 7, ()),
        (8, 8, ()),  # the last at once
    ]


def test_the_time_out_follows_rfc_6298_with_each_stacks_floor() -> None:
    for stack, expected_s in ((LINUX_STACK, 0.1 + 0.2), (NS3_STACK, 0.2)):
        rtt = make_estimator(stack)
        for turn in range(100):
            rtt.add(0.1, 10 * turn, 10 * turn + 10)
        assert rtt.timeout_s() == pytest.approx(expected_s, rel=1e-3)


def test_linux_lets_the_margin_fall_by_a_quarter_a_round_trip() -> None:
    """The first sample sets it to twice the RTT; from the second round on it nears 200 ms, as in ``tcp_rtt_estimator``."""
    rtt = make_estimator(LINUX_STACK)
    rtt.add(0.6, 0, 10)
    assert rtt.timeout_s() == pytest.approx(0.6 + 1.2)
    for acknowledged in range(1, 45):  # ten ACKs a round trip: rounds end at 11, 21, 31, 41
        rtt.add(0.6, acknowledged, acknowledged + 9)
    assert rtt.timeout_s() == pytest.approx(0.6 + 0.2 + 1.0 * 0.75**3)


def test_packet_sizes_count_headers_and_framing() -> None:
    assert LINUX_STACK.data_bytes(1448) == 1500
    assert NS3_STACK.data_bytes(1448) == 1502
    assert [NS3_STACK.ack_bytes(n) for n in range(4)] == [54, 62, 70, 78]


def test_a_queue_delays_and_then_drops() -> None:
    pipe = Pipe("p", 8e6, 0.001, limit=2)
    arrivals = [pipe.carry(0, 0, 1000) for _ in range(5)]
    assert [a and a[0] for a in arrivals] == [2_000_000, 3_000_000, 4_000_000, None, None]
    assert (pipe.dropped, pipe.carried_bytes) == (2, 3000)
    assert pipe.carry(1_500_000, 1, 1000) is not None  # a place is free again


def test_paths_split_where_packets_meet() -> None:
    a, b, core, down = (Pipe(name, 1e6, 0.0) for name in ("a", "b", "core", "down"))
    for pipe, feeders in ((a, {None}), (b, {None}), (core, {a, b}), (down, {core})):
        pipe.feeders |= feeders
    assert stages([a, core, down]) == ((a,), (core, down))


def test_reno_adds_one_segment_a_window_and_halves() -> None:
    state, reno = SocketState(LINUX_STACK), Reno()
    state.ssthresh = state.cwnd
    for _ in range(5):
        reno.grow(state, 2, 0.0)
    assert state.cwnd == 11 * MSS
    assert reno.reduce(state) == 11 * MSS // 2


def test_cubic_returns_to_its_old_window_after_k_seconds() -> None:
    state, cubic = SocketState(LINUX_STACK), Cubic()
    state.cwnd = 100 * MSS
    state.ssthresh = state.cwnd = cubic.reduce(state)
    assert state.cwnd == 70 * MSS
    k_s = (30 / 0.4) ** (1 / 3)
    now_s = 0.0
    while now_s < k_s:
        now_s += 0.05
        cubic.acked(state, 0.05, now_s)
        cubic.grow(state, state.cwnd // MSS, now_s)
    assert state.cwnd / MSS == pytest.approx(100, abs=3)


def test_cubic_leaves_slow_start_when_round_trips_have_doubled() -> None:
    state, cubic = SocketState(LINUX_STACK), Cubic()
    state.cwnd = 40 * MSS
    cubic.acked(state, 0.05, 0.0)
    for k in range(12):
        cubic.acked(state, 0.12, 1 + 0.01 * k)
    assert state.ssthresh > state.cwnd  # the round's smallest RTT is still the first
    state.last_acked = 1
    cubic.grow(state, 1, 2.0)
    for k in range(12):
        cubic.acked(state, 0.12, 2 + 0.01 * k)
    assert state.ssthresh == state.cwnd


@pytest.mark.parametrize(
    ("stack", "rtt_s", "has_left"),
    [(LINUX_STACK, 0.057, False), (LINUX_STACK, 0.058, True), (NS3_STACK, 0.09, False), (NS3_STACK, 0.11, True)],
)
def test_cubic_leaves_slow_start_as_its_stack_says(stack, rtt_s, has_left) -> None:
    """Linux's tcp_cubic.c: above the smallest RTT by an eighth, 4 ms at least and 16 ms at most; ns-3: by as much again."""
    state, cubic = SocketState(stack), Cubic()
    state.cwnd = 40 * MSS
    cubic.acked(state, 0.051, 0.0)
    state.last_acked = 1
    cubic.grow(state, 1, 1.0)
    for k in range(12):
        cubic.acked(state, rtt_s, 1 + 0.01 * k)
    assert (state.ssthresh == state.cwnd) == has_left


def test_a_windowed_maximum_forgets() -> None:
    best = WindowedMax(10, guess=99)
    for time, value in enumerate([50, 40, 30, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20]):
        best.update(value, time)
    assert best.best < 50


def test_the_tier_follows_the_budget_and_says_why() -> None:
    assert choose([(1e6, 3, 10)], budget_events=50_000).tier == "packet"
    few = choose([(1e9, 3, 1)], budget_events=10_000)
    assert few.tier == "fluid"
    assert f"{few.events:,}" in few.reason
    assert "10,000" in few.reason
    assert choose([(1e9, 3, 1)], wanted="packet", budget_events=1).tier == "packet"
    assert choose([(1e9, 3, 1)], needs_packets="only packets tell bbr apart", budget_events=1).tier == "packet"


def test_the_estimate_bounds_the_events() -> None:
    links = [LinkSpec(name, 1e6, 1e6, 0.01, queue_packets=10_000) for name in "abc"]
    flow = FlowSpec("x", tuple(Hop(name, "up") for name in "abc"), 1_000_000)
    assert simulate(links, [flow], seed=1).events <= estimate_events(1_000_000, 3)
