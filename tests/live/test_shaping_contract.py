"""What every shaper must do to real packets. Delays and durations are held from below only: a busy machine may always be late."""

import json
import math
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from emulator.backends.live import doctor
from emulator.backends.live.capture import read_capture
from emulator.backends.live.journal import read_journals
from emulator.backends.live.uml import MODULE_FOLDER, uml_command

PROGRAM = Path(__file__).with_name("shaping_program.py")
SLACK_S = 1e-3
"""A kernel's timers may round a packet's time by so much."""


@pytest.fixture(scope="module")
def guest(tmp_path_factory) -> Path:
    """All cases through netem in one User Mode Linux guest, where this kernel has no netem; returns the folder of results."""
    if shutil.which("linux.uml") is None or not Path(MODULE_FOLDER).is_dir():
        pytest.skip("neither this kernel's netem nor User Mode Linux is there: apt install user-mode-linux")
    folder = tmp_path_factory.mktemp("guest")
    steps = []
    for case in ("delay", "rate", "queue", "loss", "down"):
        program = [*doctor.sandbox_prefix(), sys.executable, str(PROGRAM), str(folder / case), "netem", case]
        steps.append(f"{shlex.join(program)} > {folder}/{case}.json 2> {folder}/{case}.err")
    search = os.pathsep.join([str(Path(__file__).parents[2]), str(PROGRAM.parent)])
    command = uml_command(["sh", "-c", "; ".join(steps)], folder / "first.sh", {**os.environ, "PYTHONPATH": search})
    subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=240, check=False)
    return folder


@pytest.fixture(params=["userspace", "netem"])
def shaper(request, live_machine):
    if request.param == "netem" and not doctor.can_netem():
        return request.getfixturevalue("guest")
    return request.param


def send(tmp_path: Path, shaper: str | Path, case: str) -> dict:
    """Return what the program saw in a case: with a shaper on this kernel, or earlier in the guest whose folder is given."""
    if isinstance(shaper, Path):
        told, error = (shaper / f"{case}.json").read_text(), (shaper / f"{case}.err").read_text()
    else:
        command = [*doctor.sandbox_prefix(), sys.executable, str(PROGRAM), str(tmp_path), shaper, case]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        told, error = done.stdout, done.stderr
    assert told, error[-3000:]
    result = json.loads(told.splitlines()[-1])
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
    assert max(arrived.values()) - min(arrived.values()) >= 0.9 * 39 * 8 * 1500 / 1e6


def test_a_full_queue_drops_its_tail(tmp_path, shaper):
    arrived = send(tmp_path, shaper, "queue")["arrived"]
    # ten waiting, and one being sent, which netem counts as waiting; a few leave while the burst is written
    assert 10 <= len(arrived) <= 14
    assert sorted(arrived)[:10] == list(range(1, 11))


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
    assert up["sent_bytes"] - 1500 * up["lost_packets"] == result["received_bytes"]
    assert up["sent_packets"] == 500
