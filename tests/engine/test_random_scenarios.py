"""Invariants of the log hold whatever the district, its equipment and its misfortunes."""

from dataclasses import replace

from engine_helpers import make_plan
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulator.plan import FlowerSettings, LinkState, NetworkSettings, Outage, PlacedFault

CLIENTS = 4
names = st.sampled_from([f"client-{n:02d}" for n in range(CLIENTS)])
targets = st.one_of(names, names.map(lambda name: f"{name}/link"))
times = st.floats(0, 400)


@st.composite
def outages(draw):
    start_s = draw(times)
    return Outage(start_s, start_s + draw(st.floats(0.01, 300)), draw(targets), "fault")


@st.composite
def link_states(draw):
    states = [
        LinkState(
            0.0, draw(st.floats(2e4, 1e8)), draw(st.floats(0, 0.4)), draw(st.floats(0, 0.05)), draw(st.floats(0, 0.05))
        )
    ]
    for from_s in sorted(draw(st.lists(st.floats(1, 300), max_size=2, unique=True))):
        states.append(LinkState(from_s, draw(st.sampled_from([0.0, 5e4, 1e6])), draw(st.floats(0, 0.4))))
    last = states[-1]
    return (*states, LinkState(350.0, max(last.rate_bps, 1e5), last.delay_s))


@st.composite
def plans(draw):
    plan = make_plan(
        "work_app",
        CLIENTS,
        seed=draw(st.integers(0, 1000)),
        config={
            "num-server-rounds": 3,
            "timeout-s": draw(st.sampled_from([20.0, 90.0, 400.0])),
            "train-macs": draw(st.floats(0, 5e9)),
        },
        outages=tuple(sorted(draw(st.lists(outages(), max_size=6)))),
        placed=tuple(
            PlacedFault(
                draw(st.integers(1, 3)),
                draw(names),
                draw(st.sampled_from(["train", "upload"])),
                draw(st.sampled_from(["crash", "leave"])),
            )
            for _ in range(draw(st.integers(0, 2)))
        ),
        flower=FlowerSettings(
            supernode_poll_s=draw(st.sampled_from([0.5, 3.0])),
            lanes=draw(st.integers(1, 4)),
            is_tls=draw(st.booleans()),
        ),
    )
    links = tuple(
        replace(link, up=draw(link_states()), down=draw(link_states()), is_shared_medium=draw(st.booleans()))
        for link in plan.links
    )
    network = NetworkSettings(
        model=draw(st.sampled_from(["auto", "packet", "fluid"])),
        congestion_control=draw(st.sampled_from(["cubic", "reno", "bbr"])),
        queue_bytes=draw(st.sampled_from([3e3, 150e3])),
    )
    return replace(plan, links=links, network=network)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(plan=plans())
def test_invariants_hold(run_plan, plan):
    outcome = run_plan(plan)  # checks the invariants of every log
    assert outcome.status == "finished"
    assert len(outcome.rows("round_closed")) == 3
    answered = {row.msg for row in outcome.rows("reply_received")}
    good = {row.msg for row in outcome.rows("reply_received", note="ok")}
    dropped = {row.msg for row in outcome.rows("message_dropped")}
    pushed = {row.msg for row in outcome.rows("message_pushed")}
    assert answered <= pushed
    assert dropped <= pushed
    assert not good & dropped  # a node may drop what the SuperLink has answered with an error
