"""Links: profiles from a table of sourced figures, and models that turn a profile into states over time.

A link model is ``(profile, *, direction, horizon_s, rng, **params) -> list[LinkState]``: the first state at 0 s, in
order of time, a longer horizon never changing an earlier state.
"""

from __future__ import annotations

from collections.abc import Callable

from emulator.models.links.constant import constant
from emulator.models.links.profile import FIELDS, LinkProfile, link_table, resolve_link
from emulator.plan import LinkState

LINKS: dict[str, Callable[..., list[LinkState]]] = {"constant": constant}

__all__ = ["FIELDS", "LINKS", "LinkProfile", "constant", "link_table", "resolve_link"]
