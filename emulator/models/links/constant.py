"""A link that never changes: the profile's figures from 0 s on."""

from __future__ import annotations

import numpy as np

from emulator.models.links.profile import LinkProfile
from emulator.plan import Direction, LinkState


def constant(
    profile: LinkProfile, *, direction: Direction, horizon_s: float, rng: np.random.Generator
) -> list[LinkState]:
    """Return one state with the profile's rate in ``direction``, its one-way delay, jitter and loss.

    Draws nothing. Leaves out fading, time of day and the load of other users.
    """
    rate_bps = profile.up_bps if direction == "up" else profile.down_bps
    return [LinkState(0.0, rate_bps, profile.delay_s, profile.jitter_s, profile.loss)]
