"""Power cuts of whole sites: rare random cuts of a grid, or a grid that is there for a few hours a day."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator

import numpy as np

from emulator.models.failures.view import View
from emulator.plan import Outage
from emulator.rng import Streams
from emulator.topology.params import ParameterError, as_list, quantity

DAY_S = 86400.0
Interval = tuple[float, float]


def power_cuts(
    view: View,
    streams: Streams,
    *,
    sites: str | list[str],
    cuts_per_day: float | None = None,
    median: str | None = None,
    sigma: float | None = None,
    grid: str | None = None,
    generator: str = "0 h",
    generator_from: str = "18 h",
    cause: str = "power cut",
) -> Iterator[Outage]:
    """Yield an outage of every mains-powered node of a site for each power cut there.

    Two models, the parameters choose:

    * ``cuts_per_day, median, sigma``: the time with power between two cuts is ``Exp(1 / cuts_per_day)`` days, a cut
      lasts ``LogNormal(ln median, sigma)``. Rates of the kind are in surveys (17 African countries: about 3 days with
      outages a week, Gallup 151973).
    * ``grid, generator, generator_from``: each day the grid is there for ``grid`` hours from an hour drawn evenly over
      the day, and the generator for ``generator`` hours from the time of day ``generator_from``; the rest is dark
      (Nigerian primary health centres, 2019: grid about 4 h and generator about 6 h a day, ng.boell.org).

    Each site draws from a stream of its own name, each day of the second model from one of its own.

    Args:
        view: The network.
        streams: Random streams of this block.
        sites: Names or patterns of sites.
        cuts_per_day: Mean number of cuts per day with power.
        median: Median length of a cut.
        sigma: Standard deviation of the natural logarithm of the length.
        grid: Hours of grid a day.
        generator: Hours of generator a day.
        generator_from: Time of day at which the generator starts, as hours after midnight.
        cause: For people.

    Raises:
        ParameterError: No such site, both models or neither, values out of range.

    Leaves out correlation between sites, and modems: a phone on battery keeps its link through a cut.
    """
    names = view.match_sites(as_list(sites), "sites")
    random = {"cuts_per_day": cuts_per_day, "median": median, "sigma": sigma}
    given = [name for name, value in random.items() if value is not None]
    if (grid is None) == (not given) or (given and len(given) < len(random)):
        raise ParameterError([("", "give cuts_per_day, median and sigma, or grid (and generator)")])
    if cuts_per_day is not None and median is not None and sigma is not None:
        gap_s, median_s = _random_parameters(cuts_per_day, median, sigma)
        cuts = {
            name: _random_cuts(gap_s, median_s, sigma, rng=streams(name), horizon_s=view.horizon_s) for name in names
        }
    else:
        hours = _window_parameters(str(grid), generator, generator_from)
        cuts = {name: _dark_hours(name, hours, view, streams=streams) for name in names}
    yield from heapq.merge(*(_outages(view, name, cuts[name], cause=cause) for name in names))


def _outages(view: View, site: str, cuts: Iterator[Interval], *, cause: str) -> Iterator[Outage]:
    for start_s, end_s in cuts:
        for name in view.mains_nodes(site):
            yield Outage(start_s, end_s, name, cause)


def _random_parameters(cuts_per_day: float, median: str, sigma: float) -> tuple[float, float]:
    median_s = quantity("median", median, "time")
    faults = []
    if cuts_per_day <= 0:
        faults.append(("cuts_per_day", f"got {cuts_per_day}; want a number above 0"))
    if median_s <= 0:
        faults.append(("median", f"got {median!r}; want a time above 0"))
    if sigma < 0:
        faults.append(("sigma", f"got {sigma}; want 0 or more"))
    if faults:
        raise ParameterError(faults)
    return DAY_S / cuts_per_day, median_s


def _random_cuts(
    gap_s: float, median_s: float, sigma: float, *, rng: np.random.Generator, horizon_s: float
) -> Iterator[Interval]:
    now_s = float(rng.exponential(gap_s))
    while now_s < horizon_s:
        end_s = now_s + float(rng.lognormal(math.log(median_s), sigma))
        yield now_s, end_s
        now_s = end_s + float(rng.exponential(gap_s))


def _window_parameters(grid: str, generator: str, generator_from: str) -> tuple[float, float, float]:
    grid_s, generator_s = quantity("grid", grid, "time"), quantity("generator", generator, "time")
    from_s = quantity("generator_from", generator_from, "time")
    faults = []
    if not 0 <= grid_s <= DAY_S:
        faults.append(("grid", f"got {grid!r}; want 0 h to 24 h"))
    if not 0 <= generator_s <= DAY_S:
        faults.append(("generator", f"got {generator!r}; want 0 h to 24 h"))
    if not 0 <= from_s < DAY_S:
        faults.append(("generator_from", f"got {generator_from!r}; want a time of day from 0 h to below 24 h"))
    if grid_s + generator_s <= 0:
        faults.append(("grid", "the site never has power; leave it out instead"))
    if faults:
        raise ParameterError(faults)
    return grid_s, generator_s, from_s


def _dark_hours(site: str, hours: tuple[float, float, float], view: View, *, streams: Streams) -> Iterator[Interval]:
    """Yield the gaps between the windows with power, in virtual time, cut off before 0 s."""
    dark_from_s = -math.inf
    last_day = math.ceil((view.horizon_s + view.starts_at_s) / DAY_S) + 2
    for start_s, end_s in _powered(site, hours, last_day, streams=streams):
        start_s, end_s = start_s - view.starts_at_s, end_s - view.starts_at_s
        if start_s > max(dark_from_s, 0.0) and dark_from_s < view.horizon_s:
            yield max(dark_from_s, 0.0), start_s
        dark_from_s = max(dark_from_s, end_s)


def _powered(site: str, hours: tuple[float, float, float], last_day: int, *, streams: Streams) -> list[Interval]:
    """Return the windows with power from the day before the run to ``last_day``, sorted; they may overlap."""
    grid_s, generator_s, from_s = hours
    windows = []
    for day in range(-1, last_day + 1):
        midnight_s = day * DAY_S
        grid_from_s = midnight_s + float(streams(site, day).uniform(0.0, DAY_S))
        windows += [(grid_from_s, grid_from_s + grid_s)] if grid_s else []
        windows += [(midnight_s + from_s, midnight_s + from_s + generator_s)] if generator_s else []
    return sorted(windows)
