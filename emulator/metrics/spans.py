"""Arithmetic on spans of time: unions, lengths, overlaps and what is left of a span when others are cut out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Span = tuple[float, float]
"""Start and end in seconds of virtual time, start <= end."""


def union(spans: Iterable[Span]) -> list[Span]:
    """Return the spans merged where they touch or overlap, in order; empty ones are dropped."""
    merged: list[Span] = []
    for start, end in sorted(span for span in spans if span[1] > span[0]):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def length(spans: Iterable[Span]) -> float:
    """Return the seconds covered by the union of ``spans``."""
    return sum(end - start for start, end in union(spans))


def clip(spans: Iterable[Span], window: Span) -> list[Span]:
    """Return the parts of ``spans`` inside ``window``."""
    low, high = window
    return [(max(start, low), min(end, high)) for start, end in spans if start < high and end > low]


def subtract(spans: Iterable[Span], holes: Iterable[Span]) -> list[Span]:
    """Return the union of ``spans`` less the union of ``holes``."""
    left: list[Span] = []
    cuts = union(holes)
    for start, end in union(spans):
        at = start
        for hole_start, hole_end in clip(cuts, (start, end)):
            if hole_start > at:
                left.append((at, hole_start))
            at = max(at, hole_end)
        if at < end:
            left.append((at, end))
    return left


def overlap_s(spans: Iterable[Span], window: Span) -> float:
    """Return how many seconds of ``window`` the union of ``spans`` covers."""
    return length(clip(spans, window))


def covers(spans: Sequence[Span], t_s: float) -> bool:
    """Return whether ``t_s`` lies in one of ``spans`` (start included, end not)."""
    return any(start <= t_s < end for start, end in spans)
