"""The userspace shaper's rules against closed forms; no clock and no kernel."""

import math
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.backends.live.lane import Lane, Medium, merge_spans
from emulator.plan import LinkState


def lane(state: LinkState, *, queue_bytes: float = 1e9, down=(), medium: Medium | None = None, seed: int = 1) -> Lane:
    return Lane((state,), queue_bytes, down, Random(seed), medium or Medium())


def drain(line: Lane, next_s: float | None) -> list:
    """Send everything that waits; returns what left, in order."""
    left = []
    while next_s is not None:
        sent, next_s = line.sent()
        left.append(sent)
    return left


@given(
    sizes=st.lists(st.integers(28, 1500), min_size=1, max_size=30),
    gaps=st.lists(st.floats(0, 0.02), min_size=30, max_size=30),
    rate_bps=st.floats(1e5, 1e8),
)
@settings(max_examples=60, deadline=None)
def test_packets_leave_as_from_a_single_server_queue(sizes, gaps, rate_bps):
    """Lindley's recursion: each departs at max(arrival, departure before) + size / rate."""
    line = lane(LinkState(0, rate_bps, 0.01))
    now_s, before_s, expected, got, due_s = 0.0, 0.0, [], [], None
    for size, gap_s in zip(sizes, gaps, strict=False):
        now_s += gap_s
        while due_s is not None and due_s <= now_s:
            sent, due_s = line.sent()
            got.append(sent)
        due = line.offer(bytes(size), now_s)
        due_s = due if due is not None else due_s
        before_s = max(now_s, before_s) + 8 * size / rate_bps
        expected.append(before_s)
    got += drain(line, due_s)
    assert [sent.at_s for sent in got] == pytest.approx(expected)
    assert [sent.due_s for sent in got] == pytest.approx([at_s + 0.01 for at_s in expected])
    assert [len(sent.packet) for sent in got] == sizes[: len(got)]
    assert line.counters.sent_bytes == sum(sizes[: len(got)])


@given(packets=st.integers(1, 60), queue=st.integers(1, 40))
def test_a_burst_into_a_full_queue_keeps_one_in_service_and_the_queue(packets, queue):
    line = lane(LinkState(0, 1e6, 0), queue_bytes=queue * 1000)
    first = None
    for _ in range(packets):
        first = line.offer(bytes(1000), 0.0) or first
    assert len(drain(line, first)) == min(packets, 1 + queue)
    assert line.counters.dropped_queue == max(0, packets - 1 - queue)


def test_losses_are_the_states_share_and_use_capacity():
    line = lane(LinkState(0, 1e9, 0, loss=0.1))
    now_s = 0.0
    for _ in range(20_000):
        now_s = line.offer(bytes(100), now_s)
        line.sent()
    expected, reach = line.counters.expected_losses, 4 * math.sqrt(line.counters.loss_variance)
    assert expected == pytest.approx(2000)
    assert abs(line.counters.lost_packets - expected) < reach
    assert now_s == pytest.approx(20_000 * 8 * 100 / 1e9)


def test_jitter_has_its_spread_and_keeps_the_order():
    line = lane(LinkState(0, 1e9, 0.1, jitter_s=0.01))
    delays, dues = [], []
    for k in range(3000):
        line.offer(bytes(100), float(k))
        sent, _ = line.sent()
        delays.append(sent.due_s - sent.at_s)
        dues.append(sent.due_s)
    mean = sum(delays) / len(delays)
    assert mean == pytest.approx(0.1, abs=0.001)
    assert math.sqrt(sum((d - mean) ** 2 for d in delays) / len(delays)) == pytest.approx(0.01, rel=0.1)
    assert dues == sorted(dues)


def test_nothing_passes_a_link_that_is_down_and_what_waits_is_dropped():
    line = lane(LinkState(0, 8000, 0.5), down=((1.5, 3.0),))
    due_s = line.offer(bytes(1000), 0.0)  # sent at 1 s
    assert line.offer(bytes(1000), 0.1) is None  # would be sent from 1 to 2 s: it has begun, it arrives
    assert line.offer(bytes(1000), 0.2) is None  # waits when the link goes down
    left = drain(line, due_s)
    assert [sent.due_s for sent in left] == [1.5, 2.5]
    assert line.offer(bytes(1000), 2.9) is None
    assert line.counters.dropped_down == 2
    assert line.offer(bytes(1000), 3.0) == pytest.approx(4.0)


def test_both_directions_of_a_half_duplex_link_share_one_medium():
    medium = Medium()
    up, down = (lane(LinkState(0, 8000, 0), medium=medium) for _ in range(2))
    due_s = up.offer(bytes(1000), 0.0)
    down.offer(bytes(1000), 0.0)
    up.offer(bytes(1000), 0.0)
    assert [sent.at_s for sent in drain(up, due_s)] == [1.0, 2.0, 3.0]
    assert (up.counters.sent_packets, down.counters.sent_packets) == (2, 1)


def test_the_state_in_force_follows_the_time_line():
    line = Lane((LinkState(0, 8000, 0), LinkState(10, 16000, 0.25)), 1e9, (), Random(1))
    assert line.offer(bytes(1000), 0.0) == 1.0
    line.sent()
    assert line.offer(bytes(1000), 10.0) == 10.5
    assert line.sent()[0].due_s == 10.75


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), max_size=20))
def test_merged_spans_cover_the_same_instants_and_stand_apart(spans):
    merged = merge_spans(spans)
    assert all(a[1] < b[0] for a, b in pairwise(merged))
    for instant in [point for span in spans for point in span]:
        covered = any(a <= instant < b for a, b in spans)
        assert covered == any(a <= instant < b for a, b in merged)
