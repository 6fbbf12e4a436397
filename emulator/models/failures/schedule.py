"""Outages at stated times: a gateway switched off for the night, a planned maintenance."""

from __future__ import annotations

from collections.abc import Iterator

from emulator.models.failures.view import View
from emulator.plan import Outage
from emulator.rng import Streams
from emulator.topology.params import ParameterError, as_list, quantity


def schedule(
    view: View,
    streams: Streams,
    *,
    target: str | list[str],
    at: str | list[str],
    for_: str,
    cause: str = "scheduled",
) -> Iterator[Outage]:
    """Yield one outage of each target at each time. Draws nothing.

    Args:
        view: The network.
        streams: Not used.
        target: Names or patterns of nodes and links.
        at: Virtual time of the start, one or several (``4 h``, counted from the start of the run).
        for_: Length (``for`` in a scenario).
        cause: For people.

    Raises:
        ParameterError: No such target, a time before 0, or a length that is not above 0.
    """
    faults: list[tuple[str, str]] = []
    targets: list[str] = []
    try:
        targets = view.match_targets(as_list(target), "target")
    except ParameterError as error:
        faults.extend(error.faults)
    starts = [quantity("at", text, "time") for text in as_list(at)]
    length_s = quantity("for", for_, "time")
    faults.extend(("at", f"got {start:g} s; an outage cannot start before 0 s") for start in starts if start < 0)
    if length_s <= 0:
        faults.append(("for", f"got {for_!r}; an outage lasts longer than 0 s"))
    if faults:
        raise ParameterError(faults)
    yield from sorted(
        Outage(start, start + length_s, name, cause) for start in starts for name in targets if start < view.horizon_s
    )
