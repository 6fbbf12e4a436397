"""Outages beside Linux's TCP, as recorded: when the dead link is probed, and when the transfer goes on."""

from __future__ import annotations

import statistics

import pytest
from outage_cases import NEAR, RECORD, Case, is_ambiguous, model_of, probe_errors, read

CASES = read(RECORD)
STEADY = [case for case in CASES if case.path.is_steady]


def name_of(case: Case) -> str:
    return f"{case.path.name}-{case.outage_s:g}s"


def test_the_record_holds_outages_of_1_to_120_s() -> None:
    lengths = sorted({case.outage_s for case in CASES})
    assert (lengths[0], lengths[-1]) == (1.0, 120.0)
    assert len(STEADY) == 2 * len(lengths)
    assert sum(not is_ambiguous(case) for case in STEADY) >= 20


@pytest.mark.parametrize("case", STEADY, ids=name_of)
def test_probes_and_resumption_come_when_linux_has_them(case: Case) -> None:
    model = model_of(case, "cubic", "packet")
    assert max(probe_errors(case, model)) <= NEAR
    if not is_ambiguous(case):  # else one probe sooner or later is a matter of milliseconds
        assert model.resumed_s == pytest.approx(case.resumed_s, rel=NEAR)


def test_where_the_queue_overflows_probes_are_near_on_average() -> None:
    """The round trip at the cut depends on how full the queue is: in Linux from one run to the next."""
    errors = [
        error
        for case in CASES
        if not case.path.is_steady
        for error in probe_errors(case, model_of(case, "cubic", "packet"))
        if error < float("inf")
    ]
    assert statistics.median(errors) < 1.5 * NEAR
