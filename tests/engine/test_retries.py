"""Time-outs, pauses and heartbeats as pure functions: closed forms, properties, and the law of the heartbeats' age."""

import math
from itertools import pairwise, repeat

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.backends.des.retries import backoffs, beats_around, completion_marks, gets_through_s, unfinished

PARTS = st.lists(st.integers(1, 10_000_000), min_size=1, max_size=30)


def test_ceilings_of_the_pauses_double_up_to_twenty_seconds():
    pauses = backoffs(lambda: 1.0)
    assert [next(pauses) for _ in range(7)] == [1, 2, 4, 8, 16, 20, 20]


def test_new_connection_probes_with_syns_and_fails_after_the_time_out():
    def through(back_s, pause_s=1.0):
        return gets_through_s(0.0, back_s, repeat(pause_s), timeout_s=30.0)

    # SYNs at 0, 1, 2, 3, 4, 5, 7, 11, 19 s; the next, at 35 s, comes after the time-out
    assert [through(back) for back in (0.5, 4.5, 5.5, 12.0, 19.0)] == [1.0, 5.0, 7.0, 19.0, 19.0]
    assert through(19.5) == 31.0  # the retry finds the path up
    assert through(40.0) == 31.0 + 11.0
    assert through(30.5) == 31.0


def test_open_connection_retransmits_until_the_superlink_has_closed_it():
    probes = [0.2 * (2**k - 1) for k in range(1, 9)]
    open_ = gets_through_s(0.0, 10.0, repeat(0.5), timeout_s=30.0, open_rtt_s=0.0)
    assert open_ == pytest.approx(next(probe for probe in probes if probe >= 10.0))
    closed = gets_through_s(0.0, 10.0, repeat(0.5), timeout_s=30.0, open_rtt_s=0.0, closed_after_s=2.0)
    ends = min(next(p for p in probes if p >= 10.0), 2.0 + next(p for p in probes if p >= 8.0))
    assert closed == pytest.approx(ends + 0.5)


@settings(max_examples=100, deadline=None)
@given(st.floats(0, 1e4), st.floats(0, 3600), st.floats(0, 1), st.sampled_from([5.0, 30.0]))
def test_never_before_the_path_is_back_and_soon_after(asked_s, outage_s, luck, timeout_s):
    back_s = asked_s + outage_s
    through = gets_through_s(asked_s, back_s, backoffs(lambda: luck), timeout_s=timeout_s)
    assert back_s <= through <= back_s + timeout_s + 20.0


@settings(max_examples=100, deadline=None)
@given(PARTS, st.integers(1, 5))
def test_every_object_is_completed_once_and_all_bytes_are_moved(parts, lanes):
    marks = completion_marks(parts, lanes)
    assert sorted(index for _, index in marks) == list(range(len(parts)))
    assert all(a[0] <= b[0] + 1e-6 for a, b in pairwise(marks))
    assert marks[-1][0] == pytest.approx(sum(parts))


@settings(max_examples=100, deadline=None)
@given(PARTS, st.integers(1, 5), st.floats(0, 1))
def test_what_a_cut_leaves_is_what_was_not_complete(parts, lanes, share):
    moved = share * sum(parts)
    own, rest = unfinished(parts, lanes, moved)
    assert len(own) <= lanes
    assert sum(parts) - moved - 1e-3 <= sum(own) + sum(rest) <= sum(parts)
    if share == 0:
        assert own + rest == parts


def test_one_lane_completes_in_order():
    assert list(completion_marks([5, 1, 3], 1)) == [(5, 0), (6, 1), (9, 2)]
    assert list(completion_marks([4, 4, 2], 2)) == [(8, 0), (8, 1), (10, 2)]
    assert list(completion_marks([10, 2, 2], 2)) == [(4, 1), (8, 2), (14, 0)]


@settings(max_examples=100, deadline=None)
@given(st.floats(0, 1e5), st.floats(0, 1e5), st.integers(0, 2**32))
def test_heartbeats_surround_now_an_interval_apart(since_s, elapsed_s, seed):
    draw = np.random.default_rng(seed).random
    last_s, due_s = beats_around(since_s, since_s + elapsed_s, 20.0, draw)
    assert last_s <= since_s + elapsed_s <= due_s
    assert 17.5 - 1e-6 <= due_s - last_s <= 22.5 + 1e-6
    assert last_s >= min(since_s, last_s)


def test_age_of_the_last_heartbeat_has_the_renewal_processs_mean():
    draw = np.random.default_rng(1).random
    ages = [1e6 - beats_around(0.0, 1e6, 20.0, draw)[0] for _ in range(20_000)]
    mean_square = 20.0**2 + 5.0**2 / 12  # of intervals even over 17.5 to 22.5 s
    assert np.mean(ages) == pytest.approx(mean_square / (2 * 20.0), rel=0.01)
    assert max(ages) < 22.5
    assert math.isfinite(sum(ages))
