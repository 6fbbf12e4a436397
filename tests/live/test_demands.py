"""What live runs cannot honour is refused in words, and what they can is set."""

import re
import time
from dataclasses import replace

import pytest
from live_builder import star_plan

from emulator.backends.live.commands import environment
from emulator.backends.live.demands import congestion_control, refusals, with_queues
from emulator.backends.live.hooks.pacing import PacedTime
from emulator.plan import Thermal

KERNEL = ("cubic", "reno")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("flower.heartbeat=10 s", "'flower.heartbeat' cannot be changed"),
        ("flower.offline_after=90 s", "'flower.offline_after' cannot be changed"),
        ("flower.tls=false", "'flower.tls' cannot be changed"),
        ("flower.fused=true", "'flower.fused' cannot be changed"),
        ("flower.request_cpu=1 ms", "'flower.request_cpu' cannot be changed"),
        ("flower.superexec_poll=2 min", "polls every 0.01 to 60 s, not every 120 s"),
        ("network.congestion_control=bbr", "no congestion control 'bbr' .it has cubic, reno."),
        ("failures=[{kind: hostile, nodes: site-01/gateway, attack: sign_flip}]", "is hostile"),
    ],
)
def test_what_real_processes_cannot_do_is_refused(override, message):
    [found] = refusals(star_plan(override), KERNEL)
    assert re.search(message, found)


def test_everything_that_is_wrong_is_told_at_once():
    plan = star_plan("flower.tls=false", "flower.heartbeat=10 s")
    assert len(refusals(plan, KERNEL)) == 2


def test_what_can_be_set_is_not_refused():
    plan = star_plan(
        "flower.supernode_poll=1 s", "flower.serverapp_poll=1 s", "flower.reply_poll=100 ms", "flower.superexec_poll=2 s",
        "flower.lanes=4", "flower.chunk=1 MiB", "network.congestion_control=reno", "network.queue=30 kB",
    )  # fmt: skip
    assert refusals(plan, KERNEL) == []
    assert congestion_control(plan) == "reno"
    assert {link.queue_bytes for link in with_queues(plan).links} == {30_000}


def test_links_with_congestion_controls_of_their_own_must_agree():
    plan = star_plan()
    first, *others = plan.links
    mixed = replace(plan, links=(replace(first, congestion_control="reno"), *others))
    assert "not cubic and reno" in refusals(mixed, KERNEL)[0]
    same = replace(plan, links=tuple(replace(link, congestion_control="reno") for link in plan.links))
    assert refusals(same, KERNEL) == []


def test_a_device_that_throttles_in_heat_is_refused():
    plan = star_plan()
    client = plan.clients[0]
    hot = replace(client, device=replace(client.device, thermal=Thermal(60.0, 0.5, 0.6)))
    nodes = tuple(hot if node.name == client.name else node for node in plan.nodes)
    assert "slow down in heat" in refusals(replace(plan, nodes=nodes), KERNEL)[0]


def test_settings_reach_flowers_processes(tmp_path):
    plan = star_plan("flower.lanes=4", "flower.chunk=1 MiB", "flower.superexec_poll=250 ms")
    given = environment(tmp_path, tmp_path, plan.flower)
    assert given["FLWR_PRIVATE_MAX_CONCURRENT_OBJ_PUSHES"] == given["FLWR_PRIVATE_MAX_CONCURRENT_OBJ_PULLS"] == "4"
    assert given["FLWR_PRIVATE_MAX_ARRAY_CHUNK_SIZE"] == str(1 << 20)
    assert given["FLWR_SUPEREXEC_TASK_POLL_INTERVAL"] == "0.25"


def test_a_modules_pauses_are_the_scenarios(monkeypatch):
    slept = []
    monkeypatch.setattr(time, "sleep", slept.append)
    paced = PacedTime({3: 1.5, 0.5: 0.1})
    for seconds in (3, 0.5, 7):
        paced.sleep(seconds)
    assert slept == [1.5, 0.1, 7]
    assert paced.monotonic is time.monotonic
