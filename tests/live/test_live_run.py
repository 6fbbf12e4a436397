"""Whole live runs, with Flower's real processes in namespaces, held against virtual time and the kernel's own counters."""

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from emulator.backends.live.backend import LiveOptions
from emulator.backends.live.capture import read_capture
from emulator.backends.live.commands import SUPERLINK_PORT
from emulator.backends.live.journal import read_journals
from emulator.errors import ServerAppLost, UsageError
from emulator.events import read_events
from emulator.flower.protocol import idle_bytes
from emulator.plan import FlowerSettings
from emulator.runner import Result, resume, run

PAIR = Path(__file__).parents[1] / "scenarios" / "live_pair.yaml"
ACCEPT = LiveOptions(with_captures=True, allow_invalid=True)  # tests share their machine with other tests
TCP = 6
POWER_CUT = "failures=[{kind: schedule, target: site-02/gateway, at: 8 s, for: 4 s, cause: power cut}]"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, live_machine) -> Result:
    """A link's outage, nothing lost."""
    out = tmp_path_factory.mktemp("live")
    return run(PAIR, backend="mininet", out=out, live=ACCEPT, with_report=False)


def events_of(result: Result) -> list:
    return list(read_events(result.folder / "events"))


@pytest.mark.slow
def test_weights_are_those_of_virtual_time(undisturbed, tmp_path):
    virtual = run(PAIR, out=tmp_path, with_report=False)
    assert undisturbed.status == virtual.status == "finished"
    for number in (0, 1):
        live_weights, weights = (
            load_file(result.folder / "weights" / f"round-{number:03d}.safetensors")
            for result in (undisturbed, virtual)
        )
        assert live_weights.keys() == weights.keys()
        assert all(np.allclose(live_weights[name], weights[name], atol=1e-5) for name in weights)


@pytest.mark.slow
def test_the_log_tells_the_same_story_as_virtual_time(undisturbed, tmp_path):
    virtual = run(PAIR, out=tmp_path, with_report=False)
    kinds = (
        "round_opened",
        "message_pushed",
        "transfer_finished",
        "compute_finished",
        "reply_received",
        "link_changed",
    )
    story = [
        sorted(
            (e.kind, e.node, e.msg, e.note)
            for e in events_of(result)
            if e.kind in kinds and (e.node != "server" or e.msg)
        )
        for result in (undisturbed, virtual)
    ]
    assert story[0] == story[1]


@pytest.mark.slow
def test_links_carry_the_bytes_of_virtual_time(undisturbed, tmp_path):
    """Both count IP packets with headers and ACKs. A loaded machine takes seconds longer, in which clients poll on."""
    virtual = run(PAIR, out=tmp_path, with_report=False)
    live_bytes, virtual_bytes = (
        sum(e.size_bytes for e in events_of(result) if e.kind == "link_load") for result in (undisturbed, virtual)
    )
    longer_s = events_of(undisturbed)[-1].t_s - events_of(virtual)[-1].t_s
    polled_bytes = 2 * sum(idle_bytes(FlowerSettings(), abs(longer_s), 0.0, 0.0, with_headers=True))  # two clients
    assert live_bytes == pytest.approx(virtual_bytes, abs=0.02 * virtual_bytes + polled_bytes)


@pytest.mark.slow
def test_captures_relay_and_kernel_count_the_same_bytes(undisturbed):
    rows = {row["what"]: row for row in read_journals(undisturbed.folder / "live" / "journals")}
    interfaces, wires = rows["ended"]["interfaces"], rows["ended"]["wires"]
    for wire, link in wires.items():
        ways = {each["direction"]: each for each in rows["relay"]["directions"] if each["link"] == link}
        assert ways["up"]["delivered_bytes"] == interfaces[f"{wire}r"]["received_bytes"]
        assert ways["down"]["delivered_bytes"] == interfaces[f"{wire}l"]["received_bytes"]
        capture = undisturbed.folder / "captures" / f"{link.replace('/', '_')}.pcap"
        total = sum(len(packet) for _, packet in read_capture(capture))
        assert total == ways["up"]["sent_bytes"] + ways["down"]["sent_bytes"] > 100_000


@pytest.mark.slow
def test_settings_of_flower_reach_its_processes(tmp_path, live_machine):
    """The capture shows when the SuperNode asked (bodies of some 34 bytes), and how many connections and requests it used."""
    overrides = [
        "failures=[]", "topology.sites=1", "app.config.min-nodes=1", "flower.supernode_poll=1 s", "flower.chunk=40 kB",
        "flower.lanes=1", "flower.serverapp_poll=500 ms", "network.congestion_control=reno",
    ]  # fmt: skip
    result = run(PAIR, backend="mininet", overrides=overrides, live=ACCEPT, out=tmp_path, with_report=False)
    sent = [
        (at_s, int.from_bytes(packet[20:22], "big"), len(packet) - 52)
        for at_s, packet in read_capture(result.folder / "captures" / "site-01_backhaul.pcap")
        if packet[9] == TCP and packet[22:24] == SUPERLINK_PORT.to_bytes(2, "big")
    ]
    polls = [at_s for at_s, _, size in sent if 30 <= size <= 38]
    pauses = sorted(after - before for before, after in pairwise(polls))
    assert 1.0 < pauses[len(pauses) // 2] < 1.5
    clock = json.loads((result.folder / "live" / "clock.json").read_text())["wall_minus_monotonic_s"]
    rows = read_journals(result.folder / "live" / "journals")
    began_s, ended_s = (
        next(row["at_s"] for row in rows if row["what"] == what) + clock
        for what in ("upload_started", "upload_finished")
    )
    upload = [(port, size) for at_s, port, size in sent if began_s <= at_s <= ended_s]
    assert len({port for port, size in upload if size == 1448}) == 1
    heads = sum(850 < size < 880 for _, size in upload) - sum(39 <= size <= 47 for _, size in upload)  # less heartbeats
    assert heads == 1 + 5 + 5, "the announcement, the record's parts, and 160 kB of weights in pieces of 40 kB"
    serving = {row["note"]: row["took_s"] for row in rows if row["what"] == "server_ended"}
    assert 0 < serving["aggregate"] < 5


@pytest.mark.slow
def test_nothing_passed_the_link_while_it_was_down(undisturbed):
    changes = [event for event in events_of(undisturbed) if event.kind == "link_changed"]
    assert [(event.t_s, event.value) for event in changes if event.peer == "up"] == [(2.0, 0.0), (5.0, 2e6)]
    began_s = next(
        row["at_s"] for row in read_journals(undisturbed.folder / "live" / "journals") if row["what"] == "began"
    )
    wall = json.loads((undisturbed.folder / "live" / "clock.json").read_text())["wall_minus_monotonic_s"]
    times = [
        at_s - wall - began_s for at_s, _ in read_capture(undisturbed.folder / "captures" / "site-01_backhaul.pcap")
    ]
    assert times
    assert not [at_s for at_s in times if 2.02 < at_s < 4.99]


@pytest.mark.slow
def test_a_live_run_says_how_faithful_it_was_and_cannot_be_resumed(undisturbed):
    notices = [event.note for event in events_of(undisturbed) if event.kind == "notice"]
    verdict = json.loads((undisturbed.folder / "live" / "fidelity.json").read_text())
    assert any(note.startswith(f"fidelity {verdict['verdict']}") for note in notices)
    assert {finding["what"] for finding in verdict["findings"]} >= {"timer", "relay", "steal", "others", "devices"}
    with pytest.raises(UsageError, match=r"finished|live run"):
        resume(undisturbed.folder)


@pytest.mark.slow
def test_a_power_cut_takes_a_message_and_the_client_joins_again(tmp_path, live_machine):
    """At 100 kbit/s the download takes 13 s, so that the cut at 8 s falls into it however slow this machine is."""
    overrides = [
        POWER_CUT, "links.line.rate=100 kbit/s", "app.config.timeout-s=60", "app.config.num-server-rounds=2",
    ]  # fmt: skip
    options = LiveOptions(for_s=300.0, allow_invalid=True)
    result = run(PAIR, backend="mininet", overrides=overrides, out=tmp_path, live=options, with_report=False)
    told = [(e.kind, e.note) for e in events_of(result) if "site-02/gateway" in (e.node, e.peer)]
    order = [
        ("message_pushed", "train"), ("transfer_started", "download"), ("node_down", "power cut"),
        ("message_dropped", "power cut"), ("node_up", ""), ("message_pushed", "train"),
    ]  # fmt: skip
    rest = iter(told)
    assert all(event in rest for event in order), told
    rows = read_journals(result.folder / "live" / "journals")
    joined = [row["at_s"] for row in rows if row["what"] == "connected" and row["node"] == "site-02/gateway"]
    cut_s = next(row["at_s"] for row in rows if row["what"] == "action" and row["action"] == "down")
    assert len(joined) == 2
    # four seconds without power, three to boot; the SuperLink takes the node for online until its heartbeats are overdue
    assert joined[0] < cut_s < cut_s + 4 + 3 < joined[1]
    opened = [event for event in events_of(result) if event.kind == "round_opened"]
    assert [event.round for event in opened] == [1, 2], "the second round waits for it to be back"
    began_s = next(row["at_s"] for row in rows if row["what"] == "began")
    assert opened[1].t_s > joined[1] - began_s


@pytest.mark.slow
def test_the_loss_of_the_server_app_ends_the_run(tmp_path, live_machine):
    overrides = ["failures=[{kind: server_app_loss, round: 1}]", "topology.sites=1", "app.config.min-nodes=1"]
    options = LiveOptions(allow_invalid=True)
    with pytest.raises(ServerAppLost, match="lost in round 1"):
        run(PAIR, backend="mininet", overrides=overrides, out=tmp_path, live=options, with_report=False)
    [events] = tmp_path.glob("live_pair/*/events")
    kinds = [event.kind for event in read_events(events)]
    assert "message_pushed" in kinds
    assert "reply_received" not in kinds


@pytest.mark.slow
def test_two_runs_beside_each_other_and_a_hog(tmp_path, live_machine):
    """Names and addresses are the same in both, and each comes to its end; none calls itself VALID beside a busy stranger."""
    command = [
        sys.executable, "-m", "emulator.cli", str(PAIR), "--backend", "mininet", "--for", "10 s", "--allow-invalid",
        "--set", "failures=[]", "--set", "topology.sites=1", "--set", "app.config.min-nodes=1",
    ]  # fmt: skip
    hogs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(-(-(os.cpu_count() or 1) // 4))]
    try:
        runs = [
            subprocess.Popen(
                [*command, "--out", str(tmp_path / name)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
            for name in ("first", "second")
        ]
        told = [each.communicate(timeout=240)[0] for each in runs]
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()
    assert [each.returncode for each in runs] == [0, 0], told
    for name in ("first", "second"):
        [verdict] = (tmp_path / name).glob("live_pair/*/live/fidelity.json")
        findings = {each["what"]: each["verdict"] for each in json.loads(verdict.read_text())["findings"]}
        assert findings["others"] in ("SUSPECT", "INVALID")


def test_nothing_of_a_run_is_left(undisturbed):
    """The sandbox's processes are gone with it, and the machine's own network has none of its devices."""
    record = json.loads((undisturbed.folder / "live" / "sandbox.json").read_text())
    assert not Path(f"/proc/{record['process']}").exists()
    assert not [path.name for path in Path("/sys/class/net").iterdir() if path.name in ("w0l", "w0r")]
    done = subprocess.run(
        [sys.executable, "-m", "emulator.cli", "cleanup", str(undisturbed.folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert "nothing of this run is left" in done.stdout
