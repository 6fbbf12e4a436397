"""What every shaper must do to real packets. Delays and durations are held from below only: a busy machine may always be late."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from emulator.backends.live import doctor
from emulator.backends.live.capture import read_capture
from emulator.backends.live.journal import read_journals

PROGRAM = Path(__file__).with_name("shaping_program.py")
SLACK_S = 1e-3
"""A kernel's timers may round a packet's time by so much."""


@pytest.fixture(params=["userspace", "netem"])
def shaper(request, live_machine):
    if request.param == "netem" and not doctor.can_netem():
        pytest.skip("this kernel has no netem")
    return request.param


def send(tmp_path: Path, shaper: str, case: str) -> dict:
    command = [*doctor.sandbox_prefix(), sys.executable, str(PROGRAM), str(tmp_path), shaper, case]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(done.stdout.splitlines()[-1])
    result["arrived"] = {int(number): at_s for number, at_s in result["arrived"].items()}
    return result


def test_packets_come_no_earlier_than_the_delay_and_in_order(tmp_path, shaper):
    result = send(tmp_path, shaper, "delay")
    assert sorted(result["arrived"]) == list(range(1, 21))
    assert list(result["arrived"]) == sorted(result["arrived"])
    assert all(at_s - result["sent"][number - 1] >= 0.05 - SLACK_S for number, at_s in result["arrived"].items())


def test_a_burst_comes_no_faster_than_the_rate(tmp_path, shaper):
    arrived = send(tmp_path, shaper, "rate")["arrived"]
    assert len(arrived) == 40
    # receivers may be late, first ones above all: the span is counted from the sending
    assert max(arrived.values()) - min(arrived.values()) >= 0.9 * 39 * 8 * 1000 / 1e6


def test_a_full_queue_drops_its_tail(tmp_path, shaper):
    arrived = send(tmp_path, shaper, "queue")["arrived"]
    assert 11 <= len(arrived) <= 13  # one being sent, ten waiting; one or two leave while the burst is written
    assert sorted(arrived)[:11] == list(range(1, 12))


def test_packets_are_lost_at_the_states_rate(tmp_path, shaper):
    arrived = send(tmp_path, shaper, "loss")["arrived"]
    assert abs(len(arrived) - 350) <= 4 * math.sqrt(500 * 0.3 * 0.7)


def test_nothing_passes_an_outage_and_the_rest_does(tmp_path, shaper):
    result = send(tmp_path, shaper, "down")
    end_s = result["zero_s"] + 1.0
    assert result["arrived"]
    assert min(result["arrived"].values()) >= end_s - SLACK_S
    assert sorted(result["arrived"])[-10:] == list(range(91, 101))


def test_the_relay_the_capture_and_the_kernel_count_the_same_bytes(tmp_path, live_machine):
    result = send(tmp_path, "userspace", "loss")
    relay = next(row for row in read_journals(tmp_path / "live" / "journals") if row["what"] == "relay")
    up = next(each for each in relay["directions"] if each["direction"] == "up")
    packets = [packet for _, packet in read_capture(tmp_path / "captures" / "line.pcap")]
    assert sum(map(len, packets)) == sum(each["sent_bytes"] for each in relay["directions"])
    assert up["sent_bytes"] - 1000 * up["lost_packets"] == result["received_bytes"]
    assert up["sent_packets"] == 500
