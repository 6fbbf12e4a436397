"""What is done with faults once drawn: held to the contract, and joined per target."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from emulator.models.failures.view import View
from emulator.plan import Outage, PlacedFault


def check_drawn(drawn: Iterable[Outage | PlacedFault], view: View) -> None:
    """Hold a failure model to its contract; a plug-in from outside is not trusted to keep it.

    Raises:
        ValueError: An unknown target, a start before 0 s or out of order, no length, or a round before 1.
    """
    nodes = {node.name for node in view.nodes}
    targets = nodes | {link.name for link in view.links}
    last_s = 0.0
    for fault in drawn:
        if isinstance(fault, PlacedFault):
            if fault.node not in nodes or fault.round < 1:
                raise ValueError(f"the failure model gave a fault at no node, or before round 1: {fault}")
            continue
        if fault.target not in targets:
            raise ValueError(f"the failure model gave an outage of an unknown target: {fault}")
        if not last_s <= fault.start_s < fault.end_s:
            raise ValueError(f"the failure model gave an outage before 0 s, out of order, or without length: {fault}")
        last_s = fault.start_s


def join_outages(outages: Iterable[Outage]) -> list[Outage]:
    """Return ``outages`` in order of time, with those of one target that overlap or touch joined into one.

    A backend sees each target go down and come up in turn; the causes of joined outages are named together.
    """
    joined: dict[str, list[Outage]] = {}
    for outage in sorted(outages):
        of_target = joined.setdefault(outage.target, [])
        if of_target and outage.start_s <= of_target[-1].end_s:
            last = of_target[-1]
            causes = last.cause.split(" + ")
            cause = last.cause if outage.cause in causes else f"{last.cause} + {outage.cause}"
            of_target[-1] = replace(last, end_s=max(last.end_s, outage.end_s), cause=cause)
        else:
            of_target.append(outage)
    return sorted(outage for of_target in joined.values() for outage in of_target)
