"""The plan's node outages as a list of what to do when. Pure; links are the shaper's business."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal

from emulator.plan import Plan


@dataclass(frozen=True, order=True)
class Action:
    """At ``at_s``: a node loses its power (``down``), gets it back (``up``), or its SuperNode is up again (``boot``)."""

    at_s: float
    node: str
    what: Literal["boot", "down", "up"]
    cause: str = ""


def node_actions(plan: Plan) -> list[Action]:
    """Return what happens to nodes, in order of time.

    Overlapping outages of a node count as one. A client boots ``boot_s`` after its power is back, unless that goes
    again before.
    """
    actions: list[Action] = []
    down: Counter[str] = Counter()
    changes = [(o.start_s, 0, o.target, o.cause) for o in plan.outages if o.target in plan.node_by_name]
    changes += [(o.end_s, 1, o.target, "") for o in plan.outages if o.target in plan.node_by_name]
    for at_s, is_end, name, cause in sorted(changes):
        if not is_end:
            down[name] += 1
            if down[name] == 1:
                actions = [a for a in actions if not (a.node == name and a.what == "boot" and a.at_s >= at_s)]
                actions.append(Action(at_s, name, "down", cause))
            continue
        down[name] -= 1
        if down[name] == 0:
            node = plan.node_by_name[name]
            actions.append(Action(at_s, name, "up"))
            if node.kind == "client":
                boot_s = (node.device.boot_s if node.device else None) or 0.0
                actions.append(Action(at_s + boot_s, name, "boot"))
    return sorted(actions, key=lambda action: action.at_s)


def off_at_start(plan: Plan) -> set[str]:
    """Return the nodes without power at time 0."""
    return {o.target for o in plan.outages if o.start_s <= 0 < o.end_s and o.target in plan.node_by_name}
