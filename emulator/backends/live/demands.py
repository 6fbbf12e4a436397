"""What a plan asks for that live runs cannot do, in sentences: it is refused before anything is started, never ignored. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Final

from emulator.plan import FlowerSettings, Plan

FLOWERS_OWN: Final = FlowerSettings()
"""Constants of flwr 1.41."""
FIXED: Final = {
    "heartbeat_s": "heartbeat", "offline_after_s": "offline_after", "is_tls": "tls", "is_fused": "fused",
    "request_cpu_s": "request_cpu",
}  # fmt: skip
"""Settings that real processes have no switch for, with their names in a scenario."""
SUPEREXEC_POLLS_S: Final = (0.01, 60.0)
"""What Flower's SuperExec accepts."""
ELSEWHERE: Final = "leave it out, or use --backend des"


def refusals(plan: Plan, controls: Collection[str]) -> list[str]:
    """Return what cannot be honoured in ``plan`` on a kernel with these TCP congestion controls; empty where all can."""
    return [*_learning(plan), *_faults(plan), *_flower(plan.flower), *_transport(plan, controls)]


def congestion_control(plan: Plan) -> str:
    """Return the congestion control of a run's connections; several joined by ``and`` where links name different ones."""
    named = {link.congestion_control or plan.network.congestion_control for link in plan.links}
    return " and ".join(sorted(named)) or plan.network.congestion_control


def with_queues(plan: Plan) -> Plan:
    """Return the plan with the run's queue on every link that has none of its own."""
    links = tuple(replace(link, queue_bytes=link.queue_bytes or plan.network.queue_bytes) for link in plan.links)
    return replace(plan, links=links)


def _learning(plan: Plan) -> Iterator[str]:
    if plan.timing is not None:
        yield "'learning: none' has no app to run live; use --backend des"
    if plan.app.trained:
        yield f"live clients all train, not a sample of them ('learning.trained_clients'); {ELSEWHERE}"
    hot = sorted({node.device.profile for node in plan.clients if node.device and node.device.thermal})
    if hot:
        yield f"devices that slow down in heat ({', '.join(hot)}: 'cooling: none') are not played live; {ELSEWHERE}"


def _faults(plan: Plan) -> Iterator[str]:
    if any(outage.target == plan.server.name for outage in plan.outages):
        yield (
            "the plan restarts the SuperLink, which ends a real ServerApp for good (Flower cannot resume it); "
            "leave that failure out, or use --backend des"
        )
    if plan.hostile:
        yield f"{plan.hostile[0].node!r} is hostile, which the live backend does not play; {ELSEWHERE}"


def _flower(settings: FlowerSettings) -> Iterator[str]:
    for name, word in FIXED.items():
        if getattr(settings, name) != getattr(FLOWERS_OWN, name):
            yield f"'flower.{word}' cannot be changed in real Flower processes; {ELSEWHERE}"
    least_s, most_s = SUPEREXEC_POLLS_S
    if not least_s <= settings.superexec_poll_s <= most_s:
        yield (
            f"Flower's SuperExec polls every {least_s:g} to {most_s:g} s, not every {settings.superexec_poll_s:g} s; "
            "change 'flower.superexec_poll', or use --backend des"
        )


def _transport(plan: Plan, controls: Collection[str]) -> Iterator[str]:
    wanted = congestion_control(plan)
    if " and " in wanted:
        yield f"live connections use one congestion control, not {wanted}; name one for the run, or use --backend des"
    elif wanted not in controls:
        yield (
            f"this kernel has no congestion control {wanted!r} (it has {', '.join(sorted(controls))}); try "
            f"'modprobe tcp_{wanted}', take another, or use --backend des"
        )
