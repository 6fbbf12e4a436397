"""What must hold at the packet level whatever the links and transfers: rates, bytes, bottlenecks, order of calls."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.backends.des.tcp.pipe import Pipe
from emulator.backends.des.tcp.simulate import FlowSpec, LinkSpec, Outcome, simulate
from emulator.backends.des.tcp.stack import LINUX_STACK
from emulator.plan import ControlName, Hop, way_back

SITES = 3
rates = st.sampled_from([200e3, 1e6, 1.7e6, 8e6])
delays = st.sampled_from([0.001, 0.02, 0.15])
controls = st.sampled_from(["cubic", "reno", "bbr"])


@dataclass
class Seen:
    """What a pipe was handed and what became of it, in packets' bytes."""

    offered: int = 0
    lost: int = 0
    refused: int = 0
    sent: int = 0


@st.composite
def networks(draw: st.DrawFn) -> list[LinkSpec]:
    buffers = st.sampled_from([4, 20, 100])
    loss = st.sampled_from([0.0, 0.0, 0.02])
    sites = [
        LinkSpec(f"s{k}", draw(rates), draw(rates), draw(delays), draw(loss), draw(buffers), draw(st.booleans()))
        for k in range(SITES)
    ]
    return [*sites, LinkSpec("core", draw(rates), draw(rates), draw(delays), 0.0, draw(buffers))]


@st.composite
def transfers(draw: st.DrawFn, most: int = 6) -> list[FlowSpec]:
    def flow(number: int) -> FlowSpec:
        hops = (Hop(f"s{draw(st.integers(0, SITES - 1))}", "up"), Hop("core", "up"))
        control: ControlName = draw(controls)
        return FlowSpec(
            f"f{number}", draw(st.sampled_from([hops, way_back(hops)])), draw(st.sampled_from([1, 3000, 50_000, 150_000])),
            draw(st.sampled_from([0.0, 0.0, 0.4, 3.0])), control,
        )  # fmt: skip

    return [flow(number) for number in range(draw(st.integers(1, most)))]


def watched(
    patch: pytest.MonkeyPatch, links: list[LinkSpec], flows: list[FlowSpec]
) -> tuple[Outcome, dict[str, Seen], dict[str, list[tuple[int, int]]]]:
    """Simulate; return also what each pipe saw, and when each of its packets left the transmitter (ns, bytes)."""
    carry = Pipe.carry
    seen: defaultdict[str, Seen] = defaultdict(Seen)
    left: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)

    def noting(pipe: Pipe, arrival_ns: int, since_ns: int, size_bytes: int) -> tuple[int, int, int, int] | None:
        refused = pipe.dropped
        passage = carry(pipe, arrival_ns, since_ns, size_bytes)
        one = seen[pipe.name]
        one.offered += size_bytes
        if pipe.dropped > refused:
            one.refused += size_bytes
        else:
            left[pipe.name].append((pipe.transmitter.free_ns, size_bytes))
            one.sent += size_bytes
            one.lost += 0 if passage else size_bytes
        return passage

    with patch.context() as context:
        context.setattr(Pipe, "carry", noting)
        outcome = simulate(links, flows, seed=5, max_events=400_000)
    return outcome, dict(seen), dict(left)


@settings(derandomize=True, max_examples=120, deadline=None)
@given(networks(), transfers())
def test_no_link_exceeds_its_rate_over_any_window(links: list[LinkSpec], flows: list[FlowSpec]) -> None:
    """Packet by packet: between two that leave one transmitter lies the time to send all after the first."""
    with pytest.MonkeyPatch.context() as patch:
        _, _, left = watched(patch, links, flows)
    for link in links:
        ways = {"up": link.up_bps, "down": link.down_bps}
        groups = [("up", "down")] if link.is_shared_medium else [("up",), ("down",)]
        for group in groups:
            packets = sorted(
                (at_ns, size * 8e9 / ways[way]) for way in group for at_ns, size in left.get(f"{link.name} {way}", [])
            )
            for (before_ns, _), (at_ns, takes_ns) in pairwise(packets):
                assert at_ns - before_ns >= takes_ns - 1  # whole nanoseconds


@settings(derandomize=True, max_examples=120, deadline=None)
@given(networks(), transfers())
def test_packets_are_conserved(links: list[LinkSpec], flows: list[FlowSpec]) -> None:
    """Offered = refused + sent; what the first link sent and did not lose is offered to the next, or on its way there."""
    with pytest.MonkeyPatch.context() as patch:
        outcome, seen, _ = watched(patch, links, flows)
    for name, one in seen.items():
        assert one.offered == one.refused + one.sent
        link, direction = name.split()
        assert outcome.carried_bytes[link, direction] == one.sent  # type: ignore[index]
    sites = {way: sum(seen.get(f"s{k} {way}", Seen()).sent for k in range(SITES)) for way in ("up", "down")}
    lost = sum(seen.get(f"s{k} up", Seen()).lost for k in range(SITES))
    core = seen.get("core up", Seen())
    on_its_way = sites["up"] - lost - core.offered
    assert 0 <= on_its_way <= 1600 * sum(link.queue_packets + 60 for link in links)
    down = seen.get("core down", Seen())
    handed_on = sum(seen.get(f"s{k} down", Seen()).offered for k in range(SITES))
    assert 0 <= down.sent - handed_on <= 1600 * sum(link.queue_packets + 60 for link in links)


@settings(derandomize=True, max_examples=80, deadline=None)
@given(networks(), transfers())
def test_every_byte_arrives_and_costs_a_header(links: list[LinkSpec], flows: list[FlowSpec]) -> None:
    outcome = simulate(links, flows, seed=5, max_events=400_000)
    if outcome.is_cut_short:
        return
    assert all(time_s < float("inf") for time_s in outcome.completion_s.values())
    least: Counter[tuple[str, str]] = Counter()
    for flow in flows:
        for hop in flow.hops[-1:]:  # losses on the last link come on top
            least[hop.link, hop.direction] += flow.size_bytes + 52 * -(-flow.size_bytes // 1448)
    for key, count in least.items():
        assert outcome.carried_bytes[key] >= count  # type: ignore[index]


@settings(derandomize=True, max_examples=80, deadline=None)
@given(networks(), transfers(), st.randoms(use_true_random=False))
def test_the_order_in_which_transfers_are_given_changes_nothing(
    links: list[LinkSpec], flows: list[FlowSpec], random: object
) -> None:
    shuffled, turned = list(flows), list(links)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    random.shuffle(turned)  # type: ignore[attr-defined]
    assert simulate(links, flows, seed=5).completion_s == simulate(turned, shuffled, seed=5).completion_s


@settings(derandomize=True, max_examples=50, deadline=None)
@given(st.lists(rates, min_size=1, max_size=4), st.sampled_from([600e3, 2e6, 40e6]), st.sampled_from([8, 64, 4096]))
def test_every_flow_has_a_bottleneck(access_bps: list[float], core_bps: float, window_packets: int) -> None:
    """In a steady state without loss: a link of its path is full, or its window is on the way.

    Buffers hold all windows, so that nothing is dropped; the middle third of the shortest transfer is looked at.
    """
    count = len(access_bps)
    links = [LinkSpec(f"s{k}", rate, rate, 0.02, 0.0, 10_000) for k, rate in enumerate(access_bps)]
    links.append(LinkSpec("core", core_bps, core_bps, 0.005, 0.0, 10_000))
    flows = [FlowSpec(f"f{k}", (Hop(f"s{k}", "up"), Hop("core", "up")), 500_000) for k in range(count)]
    stack = replace(LINUX_STACK, receive_window_bytes=window_packets * 1448)
    carry, left = Pipe.carry, defaultdict[str, list[tuple[int, int]]](list)

    def noting(pipe: Pipe, arrival_ns: int, since_ns: int, size_bytes: int) -> tuple[int, int, int, int] | None:
        passage = carry(pipe, arrival_ns, since_ns, size_bytes)
        left[pipe.name].append((pipe.transmitter.free_ns, size_bytes))
        return passage

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Pipe, "carry", noting)
        outcome = simulate(links, flows, seed=1, stack=stack)
    end_s = min(outcome.completion_s.values())
    from_ns, to_ns = int(end_s * 1e9 / 3), int(2e9 * end_s / 3)

    def busy(name: str, rate_bps: float) -> float:
        bits = sum(8 * size for at_ns, size in left[name] if from_ns < at_ns <= to_ns)
        return bits / rate_bps / ((to_ns - from_ns) / 1e9)

    granular = 2 * 12_000 / ((to_ns - from_ns) / 1e9)  # two packets more or less
    is_core_full = busy("core up", core_bps) > 0.97 - granular / core_bps
    for k, rate in enumerate(access_bps):
        share = busy(f"s{k} up", rate)
        window_bps = window_packets * 12_000 / (0.05 + 3 * 12_000 * (1 / rate + 1 / core_bps))
        assert share > 0.97 - granular / rate or is_core_full or share * rate > 0.8 * window_bps - granular
