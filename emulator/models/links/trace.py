"""A link whose rate follows a measured trace."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from emulator.models.links.profile import LinkProfile
from emulator.models.links.steps import MAX_STATES, above_zero, too_many
from emulator.models.links.traces import Series, Sessions, read_sessions
from emulator.plan import Direction, LinkState
from emulator.registry import nearest
from emulator.topology.params import ParameterError, quantity

RANDOM = "random"


def trace(
    profile: LinkProfile,
    *,
    direction: Direction,
    horizon_s: float,
    rng: np.random.Generator,
    file: Path | None = None,
    up_file: Path | None = None,
    down_file: Path | None = None,
    trace: str = "",
    offset: str = "0 s",
    bin: str = "5 s",
    max_states: int = MAX_STATES,
) -> list[LinkState]:
    """Return the trace's mean rate in each bin, the trace repeated up to the horizon; equal neighbours are joined.

    ``rate(k) = (C(o + (k + 1) b) - C(o + k b)) / b`` with ``C`` the bits the trace could have carried by a time,
    ``o`` the offset and ``b`` the bin. Delay, jitter and loss are the profile's; so is the rate of a direction for
    which no file is given. A bin in which the trace carried nothing has rate 0.

    Args:
        profile: The figures that the trace does not give.
        direction: Which way.
        horizon_s: States begin before this time.
        rng: The link's stream; drawn from for ``random`` only, alike in both directions.
        file: Trace for both directions (``traces.py`` says which formats).
        up_file: Trace towards the server; stands before ``file``.
        down_file: Trace from the server; stands before ``file``.
        trace: Which of the traces in the file, or ``random``: one drawn for the link. Not needed where there is one.
        offset: Time into the trace at which the link begins, or ``random``: drawn for the link, even over the trace.
        bin: Width over which the rate is averaged; shorter dips vanish in it.
        max_states: Most states of a direction.

    Raises:
        ParameterError: No file, one that cannot be read, no such trace, more states than allowed, or a rate of the
            scenario's own that the trace would replace.

    Leaves out what a trace cannot tell: how delay and loss move with the rate, and that a rate measured by one user at
    one time and place already has the load of others in it.
    """
    if file is None and up_file is None and down_file is None:
        raise ParameterError([("", "names no trace; give file, or up_file and down_file, or one of the two")])
    own_file = up_file if direction == "up" else down_file
    path, key = (own_file, f"{direction}_file") if own_file else (file, "file")
    bin_s = above_zero("bin", bin)
    offset_s = None if offset == RANDOM else quantity("offset", offset, "time")
    if offset_s is not None and offset_s < 0:
        raise ParameterError([("offset", f"got {offset!r}; want 0 s or more, or 'random'")])
    chance, start = rng.random(), rng.random()
    if path is None:
        rate_bps = profile.up_bps if direction == "up" else profile.down_bps
        return [LinkState(0.0, rate_bps, profile.delay_s, profile.jitter_s, profile.loss)]
    _refuse_own_rate(profile, direction)
    try:
        sessions = read_sessions(path, direction)
    except ValueError as error:
        raise ParameterError([(key, str(error))]) from None
    series = _chosen(sessions, trace, chance, path.name)
    offset_s = start * series.length_s if offset_s is None else offset_s
    return _states(profile, series, offset_s, bin_s, horizon_s=horizon_s, max_states=max_states)


def _refuse_own_rate(profile: LinkProfile, direction: Direction) -> None:
    """Refuse a rate that somebody set on top of a profile of the table, and that the trace would silently replace."""
    if profile.facts and f"{direction}_bps" not in dict(profile.facts):
        message = f"the trace gives the rate {direction}: leave out the rate that is set for it, or the file"
        raise ParameterError([("", message)])


def _chosen(sessions: Sessions, name: str, chance: float, file: str) -> Series:
    names = sorted(sessions)
    if name == RANDOM:
        return sessions[names[math.floor(chance * len(names))]]
    if name in sessions:
        return sessions[name]
    if len(names) == 1 and not name:
        return sessions[names[0]]
    some = ", ".join(names[:5])
    if not name:
        raise ParameterError([("trace", f"{file!r} holds {len(names)} traces; name one ({some} ...), or 'random'")])
    raise ParameterError([("trace", f"{file!r} has no trace {name!r}; for example {some}{nearest(name, names)}")])


def _states(
    profile: LinkProfile, series: Series, offset_s: float, bin_s: float, *, horizon_s: float, max_states: int
) -> list[LinkState]:
    count = math.ceil(horizon_s / bin_s)
    if count > max_states:
        message = too_many(f"gives {count:,}", horizon_s, max_states, bin_s=horizon_s / max_states)
        raise ParameterError([("bin", message)])
    edges_s = np.arange(count + 1) * bin_s
    rates = np.round(series.rates_bps(edges_s + offset_s))
    changes = np.flatnonzero(np.diff(rates, prepend=-1.0))
    delay_s, jitter_s, loss = profile.delay_s, profile.jitter_s, profile.loss
    pairs = zip(edges_s[changes].tolist(), rates[changes].tolist(), strict=True)
    return [LinkState(from_s, rate_bps, delay_s, jitter_s, loss) for from_s, rate_bps in pairs]
