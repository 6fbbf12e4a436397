"""Small plans for tests of the live backend."""

from pathlib import Path

from emulator.plan import AppPlan, Device, FlowerSettings, Hop, Link, LinkState, Node, Outage, Plan
from emulator.runner import plan_scenario

STAR = Path(__file__).parents[1] / "scenarios" / "star_numpy.yaml"


def two_nodes(
    *, up: LinkState, down: LinkState, queue_bytes: float | None = None, outages: tuple[Outage, ...] = (),
    is_shared_medium: bool = False, seed: int = 1,
) -> Plan:  # fmt: skip
    """A server, a client and one link."""
    link = Link(
        "line", "client", "server", "custom", (up,), (down,), is_shared_medium=is_shared_medium,
        queue_bytes=queue_bytes,
    )  # fmt: skip
    nodes = (Node("client", "client", device=Device("d", "gateway"), partition_id=0), Node("server", "server"))
    return Plan(
        "two", seed, 0.0, 1000.0, nodes, (link,), {"client": (Hop("line", "up"),)}, outages, (), AppPlan("app", {}),
        FlowerSettings(),
    )  # fmt: skip


def star_plan(*overrides: str) -> Plan:
    """The plan of the NumPy app in a star."""
    return plan_scenario(STAR, overrides=overrides)[1]
