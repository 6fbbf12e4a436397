"""Plans and event logs made by hand for the tests of tables and report, without a backend."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd

from emulator.events import EventLog, read_frame
from emulator.plan import (
    AppPlan,
    Assumption,
    Device,
    FlowerSettings,
    Hop,
    Link,
    LinkState,
    Node,
    Outage,
    Plan,
    Stream,
)

GATEWAY = Device("rpi_4b_4gb", "gateway", 4, 4e9, idle_w=2.0, busy_w=6.0, tx_w=1.0, rx_w=0.5)
SERVER = Device("cloud_small", "cloud", 8, 16e9, idle_w=50.0, busy_w=100.0, tx_w=0.0, rx_w=0.0)
MYSTERY = Device("unknown_board", "gateway")
SENSOR = Device("ecg_patch", "sensor", idle_w=0.001, busy_w=0.001, tx_w=0.0, rx_w=0.0)


def constant_link(name: str, leaf: str, root: str, *, up_bps: float, down_bps: float, **more: object) -> Link:
    """Return a link whose rate never changes."""
    return Link(name, leaf, root, "made", (LinkState(0, up_bps, 0.01),), (LinkState(0, down_bps, 0.01),), **more)  # type: ignore[arg-type]


def make_plan(nodes: list[Node], links: list[Link], routes: dict[str, tuple[Hop, ...]], **more: object) -> Plan:
    """Return a plan, with everything not given at its plainest."""
    fields: dict[str, object] = {
        "scenario": "made", "seed": 7, "starts_at_s": 20 * 3600.0, "horizon_s": 1e6, "outages": (), "placed": (),
        "app": AppPlan("app", {"num-server-rounds": 3}, 3), "flower": FlowerSettings(),
    }  # fmt: skip
    fields.update(more)
    ordered = tuple(sorted(nodes, key=lambda node: node.name))
    return Plan(nodes=ordered, links=tuple(sorted(links, key=lambda link: link.name)), routes=routes, **fields)  # type: ignore[arg-type]


def small_plan(first: str = "a") -> Plan:
    """Return two clients, one of unknown power, one sensor, one server; client ``b`` has a tariff of 4 USD/GB."""
    nodes = [
        Node("server", "server", "", SERVER),
        Node(first, "client", "site-a", GATEWAY, 0),
        Node("b", "client", "site-b", MYSTERY, 1),
        Node("s", "sensor", "site-a", SENSOR, None, (Stream(first, "s/ble", 800.0),)),
    ]
    links = [
        constant_link("a/backhaul", first, "server", up_bps=8000, down_bps=16000, tx_j_per_byte=0.001),
        constant_link("b/backhaul", "b", "server", up_bps=8000, down_bps=16000, tariff_usd_per_gb=4.0),
        constant_link("s/ble", "s", first, up_bps=8000, down_bps=8000, is_shared_medium=True, tx_j_per_byte=0.0001),
    ]
    routes = {first: (Hop("a/backhaul", "up"),), "b": (Hop("b/backhaul", "up"),), "s": (Hop("s/ble", "up"),)}
    outages = (Outage(130.0, 140.0, "a/backhaul", "fibre cut"), Outage(150.0, 170.0, "b", "power cut"))
    made_up = Assumption("unknown_board", "cpu_time_factor", "12", "guess <by> analogy")
    return make_plan(nodes, links, routes, outages=outages, assumptions=(made_up,))


class Script:
    """Writes rows in the order a backend would."""

    def __init__(self, folder: Path) -> None:
        self.log = EventLog(folder)

    def frame(self) -> pd.DataFrame:
        self.log.flush()
        return read_frame(self.log.folder)

    def push(self, t: float, r: int, node: str, msg: str, kind: str = "train", size: int = 1000) -> None:
        self.log.append(t, "message_pushed", round=r, node=node, msg=msg, size_bytes=size, note=kind)

    def move(self, t: float, end: float, r: int, node: str, peer: str, msg: str, size: int, way: str) -> None:
        self.log.append(t, "transfer_started", round=r, node=node, peer=peer, msg=msg, size_bytes=size, note=way)
        self.log.append(
            end, "transfer_finished", round=r, node=node, peer=peer, msg=msg, size_bytes=size, value=end - t, note=way
        )

    def work(self, t: float, end: float, r: int | None, node: str, msg: str, what: str) -> None:
        self.log.append(t, "compute_started", round=r, node=node, msg=msg, note=what)
        self.log.append(end, "compute_finished", round=r, node=node, msg=msg, value=end - t, note=what)

    def reply(self, t: float, r: int, node: str, msg: str, note: str = "ok", size: int = 900) -> None:
        self.log.append(t, "reply_received", round=r, node=node, msg=msg, size_bytes=size, note=note)


def small_log(folder: Path, first: str = "a", *, rounds: int = 3) -> pd.DataFrame:
    """Return the rows of three rounds worked out by hand in ``test_report_tables.py``.

    Round 1 goes well; in round 2 an outage stalls the upload of the first client and ``b`` loses its power while
    training; in round 3 the first client runs out of memory and ``b`` is late.
    """
    s = Script(folder)
    log = s.log
    log.append(0, "run_started", value=7, note="made")
    log.append(0, "notice", note="simulated data <b>was</b> used")
    log.append(0, "round_opened", round=1, value=2)
    s.push(0, 1, first, "r1/a")
    s.push(0, 1, "b", "r1/b")
    s.work(0, 1, 1, "server", "r1/a", "serve")
    s.move(3, 5, 1, "server", first, "r1/a", 1000, "download")
    s.work(5, 45, 1, first, "r1/a", "train")
    s.move(46, 50, 1, first, "server", "r1/a", 900, "upload")
    s.move(2, 4, 1, "server", "b", "r1/b", 1000, "download")
    s.work(4, 24, 1, "b", "r1/b", "train")
    s.move(24, 28, 1, "b", "server", "r1/b", 900, "upload")
    s.reply(30, 1, "b", "r1/b")
    s.reply(52, 1, first, "r1/a")
    s.work(52, 58, 1, "server", "", "aggregate")
    log.append(58, "metric", round=1, note="svf.auroc", value=0.7)
    log.append(58, "metric", round=1, note="loss", value=0.9)
    log.append(58, "metric", round=1, note="patient.100.svf.auroc", value=0.6)
    log.append(58, "metric", round=1, node="b", note="svf.auroc", value=0.5)
    log.append(60, "round_closed", round=1, value=2)
    if rounds > 1:
        _round_two(s, first)
    if rounds > 2:
        _round_three(s, first)
        log.append(300, "run_finished", note="finished")
    return s.frame()


def _round_two(s: Script, first: str) -> None:
    log = s.log
    log.append(100, "round_opened", round=2, value=2)
    s.push(100, 2, first, "r2/a")
    s.push(100, 2, "b", "r2/b")
    s.move(102, 104, 2, "server", "b", "r2/b", 1000, "download")
    s.move(103, 105, 2, "server", first, "r2/a", 1000, "download")
    log.append(104, "compute_started", round=2, node="b", msg="r2/b", note="train")
    s.work(105, 125, 2, first, "r2/a", "train")
    log.append(125, "transfer_started", round=2, node=first, peer="server", msg="r2/a", size_bytes=900, note="upload")
    for way in ("up", "down"):
        log.append(130, "link_changed", link="a/backhaul", peer=way, value=0, note="fibre cut")
    log.append(130, "transfer_stalled", round=2, node=first, peer="server", msg="r2/a", note="a/backhaul")
    for way, rate in (("up", 8000), ("down", 16000)):
        log.append(140, "link_changed", link="a/backhaul", peer=way, value=rate, note="fibre cut over")
    log.append(140, "transfer_resumed", round=2, node=first, peer="server", msg="r2/a")
    log.append(
        142,
        "transfer_finished",
        round=2,
        node=first,
        peer="server",
        msg="r2/a",
        size_bytes=900,
        value=17,
        note="upload",
    )
    s.reply(144, 2, first, "r2/a")
    log.append(150, "node_down", node="b", note="power cut")
    log.append(150, "compute_lost", round=2, node="b", msg="r2/b", value=46, note="power cut")
    log.append(170, "node_up", node="b")
    s.work(174, 178, 2, "server", "", "aggregate")
    log.append(178, "metric", round=2, note="svf.auroc", value=0.8)
    log.append(178, "metric", round=2, note="loss", value=0.5)
    log.append(178, "privacy_spent", round=2, value=1.5, note="DP-SGD")
    log.append(180, "round_closed", round=2, value=1)


def _round_three(s: Script, first: str) -> None:
    log = s.log
    log.append(200, "round_opened", round=3, value=2)
    s.push(200, 3, first, "r3/a")
    s.push(200, 3, "b", "r3/b")
    s.move(201, 203, 3, "server", first, "r3/a", 1000, "download")
    s.move(201, 203, 3, "server", "b", "r3/b", 1000, "download")
    log.append(203, "compute_started", round=3, node=first, msg="r3/a", note="train")
    log.append(213, "compute_lost", round=3, node=first, msg="r3/a", value=10, note="out of memory")
    s.work(203, 250, 3, "b", "r3/b", "train")
    log.append(250, "transfer_started", round=3, node="b", peer="server", msg="r3/b", size_bytes=900, note="upload")
    log.append(260, "metric", round=3, note="svf.auroc", value=0.75)
    log.append(260, "ledger_appended", round=3, size_bytes=128, note="round record")
    log.append(260, "round_closed", round=3, value=0)
    log.append(
        262, "transfer_lost", round=3, node="b", peer="server", msg="r3/b", size_bytes=300, note="connection reset"
    )
    log.append(270, "reply_late", round=3, node="b", msg="r3/b", note="round over")
    for link, way, size, traffic in (
        ("a/backhaul", "up", 2000, "flows"),
        ("a/backhaul", "down", 3300, "flows"),
        ("b/backhaul", "up", 1500, "flows"),
        ("b/backhaul", "down", 3300, "flows"),
        ("s/ble", "up", 30000, "streams"),
    ):
        log.append(300, "link_load", link=link, peer=way, size_bytes=size, value=300, note=traffic)


def clinic_plan(clinics: int = 10) -> Plan:
    """Return something like the rural clinic: gateways over four kinds of backhaul, three sensors each."""
    kinds = (("geo_vsat", 1e6, 8e6, 9.0), ("lte", 4e6, 12e6, 4.0), ("gprs", 4e4, 6e4, 20.0), ("dsl", 1e6, 6e6, None))
    nodes, links, routes = [Node("server", "server", "", SERVER)], [], {}
    outages = []
    for i in range(clinics):
        name = f"clinic-{i + 1:02d}"
        gateway = f"{name}/gateway"
        profile, up, down, tariff = kinds[i % 4]
        nodes.append(Node(gateway, "client", name, MYSTERY if i == 4 else GATEWAY, i))
        state_up, state_down = (LinkState(0, up, 0.3),), (LinkState(0, down, 0.3),)
        backhaul = Link(f"{name}/backhaul", gateway, "server", profile, state_up, state_down, tariff_usd_per_gb=tariff)
        links.append(backhaul)
        routes[gateway] = (Hop(f"{name}/backhaul", "up"),)
        for j, sensor in enumerate(("ecg", "spo2", "bp")):
            full = f"{name}/{sensor}"
            nodes.append(Node(full, "sensor", name, SENSOR, None, (Stream(gateway, f"{full}-ble", 800.0 * (3 - j)),)))
            radio = constant_link(f"{full}-ble", full, gateway, up_bps=1e6, down_bps=1e6, tx_j_per_byte=2e-6)
            links.append(radio)
            routes[full] = (Hop(f"{full}-ble", "up"),)
        if i % 3 == 1:
            outages.append(Outage(3000.0 + 700 * i, 5200.0 + 800 * i, gateway, "power cut"))
        if i % 4 == 0:
            outages.append(Outage(1500.0 + 1300 * i, 2900.0 + 1350 * i, f"{name}/backhaul", "rain fade"))
    assumed = tuple(Assumption(f"device {i}", "busy_w", "6.4 W", "estimate from a like board") for i in range(6))
    return make_plan(nodes, links, routes, outages=tuple(sorted(outages)), assumptions=assumed, scenario="rural_clinic")


def clinic_log(folder: Path, plan: Plan, rounds: int = 10) -> pd.DataFrame:
    """Return a plausible log for ``clinic_plan``; in order of time, drawn from formulas and not from chance."""
    out: list[tuple[float, int, str, dict[str, object]]] = []

    def add(t: float, kind: str, **fields: object) -> None:
        out.append((t, len(out), kind, fields))

    add(0.0, "run_started", value=7.0, note=plan.scenario)
    add(0.0, "notice", note="Simulated ECG records were used: the MIT-BIH records are not on this machine.")
    opened = 0.0
    for r in range(1, rounds + 1):
        add(opened, "round_opened", round=r, value=float(len(plan.clients)))
        ends = [_clinic_client(add, plan, r, i, opened) for i in range(len(plan.clients))]
        deadline = opened + 2400
        done = max([end for end in ends if end < deadline], default=deadline)
        closed = (done if all(end < deadline for end in ends) else deadline) + 25
        add(closed - 22, "compute_started", round=r, node="server", note="aggregate")
        add(closed - 4, "compute_finished", round=r, node="server", value=18.0, note="aggregate")
        _clinic_metrics(add, r, closed)
        add(closed, "round_closed", round=r, value=float(sum(end < deadline for end in ends)))
        opened = closed + 5
    for outage in plan.outages:
        if outage.target in plan.node_by_name and outage.start_s < opened:
            add(outage.start_s, "node_down", node=outage.target, note=outage.cause)
            add(min(outage.end_s, opened), "node_up", node=outage.target)
    for link in plan.links:
        for way in ("up", "down"):
            is_ble = link.name.endswith("-ble")
            if is_ble and way == "down":
                continue
            size = int(opened * 100) if is_ble else 10_000 * rounds * (90 if way == "up" else 99)
            add(
                opened,
                "link_load",
                link=link.name,
                peer=way,
                size_bytes=size,
                value=opened,
                note="streams" if is_ble else "flows",
            )
    add(opened, "run_finished", note="finished")
    log = EventLog(folder)
    for t, _, kind, fields in sorted(out, key=lambda row: row[:2]):
        log.append(t, kind, **fields)  # type: ignore[arg-type]
    log.flush()
    return read_frame(folder)


def _clinic_client(add, plan: Plan, r: int, i: int, opened: float) -> float:  # type: ignore[no-untyped-def]
    node = plan.clients[i].name
    msg, where = f"r{r}/{node}/1", {"round": r, "node": node}
    speed = (1.0, 0.4, 6.0, 0.8)[i % 4]
    add(opened, "message_pushed", **where, msg=msg, size_bytes=990_000, note="train")
    start = opened + 1 + (i * 37 + r * 11) % 30 / 10
    cuts = [outage for outage in plan.outages if outage.target == node and outage.start_s <= start + 400 < outage.end_s]
    if cuts:
        add(start, "message_dropped", **where, msg=msg, note="power cut")
        return math.inf
    down = {"round": r, "node": "server", "peer": node, "msg": msg, "size_bytes": 990_000, "note": "download"}
    got = start + 30 * speed
    add(start, "transfer_started", **down)
    add(got, "transfer_finished", **down, value=got - start)
    trained = got + 300 + 40 * ((i * 7 + r * 3) % 9)
    add(got, "compute_started", **where, msg=msg, note="train")
    if (i + r) % 13 == 0:
        add(got + 60, "compute_lost", **where, msg=msg, value=60.0, note="out of memory")
        add(got + 66, "reply_received", **where, msg=msg, size_bytes=200, note="ClientApp exited: out of memory")
        return got + 66
    add(trained, "compute_finished", **where, msg=msg, value=trained - got, note="train")
    up = {"round": r, "node": node, "peer": "server", "msg": msg, "size_bytes": 900_000, "note": "upload"}
    sent = trained + 90 * speed
    add(trained, "transfer_started", **up)
    if (i * 3 + r) % 11 == 0:
        key = {"round": r, "node": node, "peer": "server", "msg": msg}
        add(trained + 20, "transfer_stalled", **key, note=plan.routes[node][0].link)
        add(trained + 420, "transfer_resumed", **key)
        sent += 400
    if (i + 2 * r) % 17 == 0:
        sent = opened + 2420
    add(sent, "transfer_finished", **up, value=sent - trained)
    if sent > opened + 2400:
        add(sent + 3, "reply_late", **where, msg=msg, note="the round was over")
        return math.inf
    add(sent + 2, "reply_received", **where, msg=msg, size_bytes=900_000, note="ok")
    return sent + 2


def _clinic_metrics(add, r: int, t: float) -> None:  # type: ignore[no-untyped-def]
    grow = 1 - math.exp(-r / 3)
    for name, low, high in (
        ("svf.auroc", 0.5, 0.93),
        ("v.auroc", 0.5, 0.96),
        ("svf.auprc", 0.2, 0.6),
        ("f1", 0.1, 0.72),
    ):
        add(t - 3, "metric", round=r, note=name, value=low + (high - low) * grow)
    add(t - 3, "metric", round=r, note="loss", value=2.0 - 1.4 * grow)
    for i, patient in enumerate((100, 103, 105, 111, 200, 210, 213, 232)):
        add(t - 3, "metric", round=r, note=f"patient.{patient}.svf.auroc", value=0.5 + (0.3 + 0.02 * i) * grow)
        add(t - 3, "metric", round=r, note=f"patient.{patient}.v.auroc", value=0.5 + (0.45 - 0.03 * i) * grow)
