"""Links: profiles from a table of sourced figures, and models that turn a profile into states over time.

A link model is ``(profile, *, direction, horizon_s, rng, **params) -> list[LinkState]``: the first state at 0 s, in
order of time, those at or after the horizon left out, a longer horizon never changing an earlier state. ``rng`` is the
link's stream, the same for both directions (``timeline.own_stream`` gives one of a direction alone). A scenario names a
model by ``model:`` in a ``links:`` profile or an ``overrides:`` entry, a topology on an edge. A parameter annotated
``pathlib.Path`` is a data file; one called ``for_`` is written ``for``.
"""

from __future__ import annotations

from collections.abc import Callable

from emulator.models.links.constant import constant
from emulator.models.links.degradation import degradation
from emulator.models.links.gilbert_elliott import gilbert_elliott
from emulator.models.links.profile import FIELDS, LinkModel, LinkProfile, link_table, resolve_link
from emulator.models.links.trace import trace
from emulator.plan import LinkState

LINKS: dict[str, Callable[..., list[LinkState]]] = {
    "constant": constant,
    "degradation": degradation,
    "gilbert_elliott": gilbert_elliott,
    "trace": trace,
}

__all__ = [
    "FIELDS",
    "LINKS",
    "LinkModel",
    "LinkProfile",
    "constant",
    "degradation",
    "gilbert_elliott",
    "link_table",
    "resolve_link",
    "trace",
]
