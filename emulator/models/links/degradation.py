"""A link with bad spells: slower, farther and lossier for a while (rain on a dish, a crowded cell, a bad contact)."""

from __future__ import annotations

import numpy as np

from emulator.models.links.profile import LinkProfile
from emulator.models.links.steps import MAX_STATES, above_zero, alternate, episodes, probability
from emulator.plan import Direction, LinkState
from emulator.topology.params import ParameterError, quantity


def degradation(
    profile: LinkProfile,
    *,
    direction: Direction,
    horizon_s: float,
    rng: np.random.Generator,
    every: str,
    for_: str,
    rate: str | float = "100 %",
    loss: str | float = "0 %",
    delay: str = "0 s",
    max_states: int = MAX_STATES,
) -> list[LinkState]:
    """Return the profile's figures with spells drawn as an alternating renewal process, good first.

    Good spells last ``Exp(every)``, bad ones ``Exp(for)``, the same ones in both directions. In a bad spell the rate is
    ``rate`` times the profile's, the delay is longer by ``delay``, and the loss is ``1 - (1 - l)(1 - loss)`` with the
    profile's ``l``: the two causes lose packets independently.

    Args:
        profile: The link in good spells.
        direction: Which way.
        horizon_s: States begin before this time.
        rng: The link's stream.
        every: Mean length of a good spell.
        for_: Mean length of a bad spell (``for`` in a scenario).
        rate: Share of the rate that is left in a bad spell, above 0 and at most 1.
        loss: Share of packets that a bad spell loses besides.
        delay: What a bad spell adds to the one-way delay.
        max_states: Most states of a direction.

    Raises:
        ParameterError: Values out of range, spells that change nothing, or more states than allowed.

    Leaves out the passage between the two: a rain cell comes up over minutes.
    """
    every_s, for_s = above_zero("every", every), above_zero("for", for_)
    share, lost, delay_s = (
        quantity("rate", rate, "fraction"),
        probability("loss", loss),
        quantity("delay", delay, "time"),
    )
    if not 0 < share <= 1:
        raise ParameterError([("rate", f"got {rate!r}; want above 0 and at most 100 %; use an outage for a dead link")])
    if delay_s < 0:
        raise ParameterError([("delay", f"got {delay!r}; want 0 s or more")])
    if share == 1 and lost == 0 and delay_s == 0:
        raise ParameterError([("", "changes nothing; give rate, loss or delay of the bad spells")])
    rate_bps = profile.up_bps if direction == "up" else profile.down_bps
    good = LinkState(0.0, rate_bps, profile.delay_s, profile.jitter_s, profile.loss)
    bad = LinkState(
        0.0, rate_bps * share, profile.delay_s + delay_s, profile.jitter_s, 1 - (1 - profile.loss) * (1 - lost)
    )
    turns = episodes(rng, every_s, for_s, horizon_s)
    return alternate(good, bad, turns, horizon_s=horizon_s, max_states=max_states)
