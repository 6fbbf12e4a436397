"""The estimates behind failure models that take their rates from link profiles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from emulator.models.failures.view import match
from emulator.models.links import LinkProfile
from emulator.plan import Assumption
from emulator.topology.params import ParameterError, as_list


def reliability_assumptions(
    blocks: Iterable[Mapping[str, Any]], profiles: Mapping[str, LinkProfile]
) -> set[Assumption]:
    """Return the estimates among the reliability figures that failure blocks take from link profiles.

    Args:
        blocks: Parameters of each failure block.
        profiles: Profiles of the links by name.
    """
    found: set[Assumption] = set()
    for params in blocks:
        if "profile" not in (params.get("mtbf"), params.get("mttr")) or "links" not in params:
            continue
        try:
            names = match(as_list(params["links"]), list(profiles), what="link", key="")
        except ParameterError:
            continue  # reported where the block is drawn
        for name in names:
            found.update(
                fact.assumption()
                for attribute, fact in profiles[name].facts
                if attribute in ("mtbf_s", "mttr_s") and fact.is_assumed
            )
    return found
