"""The composition root: scenario to plan to backend to tables to report, all in one run folder."""

from __future__ import annotations

import gc
import json
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from emulator.errors import BackendUnavailable, EmulatorError, ScenarioError, Unfaithful, UsageError
from emulator.events import Event, EventLog
from emulator.plan import Plan
from emulator.registry import nearest
from emulator.runfolder import RunFolder, environment, new_run_folder
from emulator.scenario import dump_scenario, examine
from emulator.scenario.model import Scenario

if TYPE_CHECKING:
    from emulator.backends.live.backend import LiveOptions
    from emulator.flower.audit import AuditResult

Listener = Callable[[Event], None]
BACKENDS = ("des", "mininet")


@dataclass(frozen=True)
class Result:
    """What a run left behind.

    Attributes:
        folder: The run folder.
        status: ``finished`` or ``interrupted``.
        digest: SHA-256 over the canonical rows of the event log.
        summary: Key figures.
    """

    folder: Path
    status: str
    digest: str
    summary: dict[str, Any] = field(default_factory=dict)


def plan_scenario(
    path: Path, *, overrides: Sequence[str] = (), quick: bool = False, seed: int | None = None
) -> tuple[Scenario, Plan]:
    """Read and plan a scenario.

    Raises:
        ScenarioError: Carries every fault found in reading and in planning.
    """
    from emulator import planner

    scenario, faults = examine(path, overrides=overrides, quick=quick, seed=seed)
    if scenario is not None and not faults:
        return scenario, planner.make_plan(scenario)
    if scenario is not None:
        faults = [*faults, *planner.check(scenario)]
    raise ScenarioError(list(dict.fromkeys(faults)))


def run(
    scenario_path: Path | str,
    *,
    overrides: Sequence[str] = (),
    quick: bool = False,
    seed: int | None = None,
    backend: str = "des",
    out: Path | str = "results",
    run_name: str | None = None,
    workers: int | None = None,
    with_report: bool = True,
    live: LiveOptions | None = None,
    on_start: Callable[[Plan, RunFolder], Sequence[Listener]] | None = None,
    on_stage: Callable[[str], None] = lambda _stage: None,
) -> Result:
    """Run a scenario and write its run folder.

    Args:
        scenario_path: The scenario file; one inside a run folder replays that run's measurements.
        overrides: ``key=value`` changes.
        quick: Apply the scenario's ``quick`` block.
        seed: Replaces the scenario's seed.
        backend: ``des`` (virtual time) or ``mininet`` (live).
        out: Parent of all run folders.
        run_name: Name of the run folder; the next free number by default.
        workers: Worker processes for ClientApp calls; the number of cores by default.
        with_report: Write figures and report.html.
        live: How to carry out a live run; the defaults where it is None.
        on_start: Called with the plan before the run; returns listeners for its events.
        on_stage: Called with a few words before each stage after the run.

    Raises:
        EmulatorError: See ``emulator.errors``; the run folder keeps what was computed.
    """
    _check_backend(backend)
    path = Path(scenario_path)
    scenario, plan = plan_scenario(path, overrides=overrides, quick=quick, seed=seed)
    if backend == "mininet":
        return _run_live(
            scenario,
            plan,
            Path(out),
            run_name,
            live=live,
            with_report=with_report,
            on_start=on_start,
            on_stage=on_stage,
        )
    folder = _open_folder(scenario, plan, Path(out), run_name)
    folder.write_status("interrupted")
    measured_in = path.parent if RunFolder(path.parent).plan.is_file() else None
    return _carry_out(
        folder,
        plan,
        _virtual_time(folder, workers, measured_in),
        with_report=with_report,
        on_start=on_start,
        on_stage=on_stage,
    )


def _open_folder(scenario: Scenario, plan: Plan, out: Path, run_name: str | None) -> RunFolder:
    """Make the run folder and keep what the run starts from."""
    folder = new_run_folder(out, scenario.name, run_name)
    folder.scenario.write_text(dump_scenario(scenario))
    folder.plan.write_text(json.dumps(plan.to_dict(), separators=(",\n", ": ")) + "\n")
    (folder.path / "environment.json").write_text(json.dumps(environment(), indent=2) + "\n")
    return folder


def _run_live(
    scenario: Scenario,
    plan: Plan,
    out: Path,
    run_name: str | None,
    *,
    live: LiveOptions | None,
    with_report: bool,
    on_start: Callable[[Plan, RunFolder], Sequence[Listener]] | None,
    on_stage: Callable[[str], None],
) -> Result:
    """Run a slice of the plan on this machine's kernel.

    Raises:
        Unfaithful: The run measured the machine more than the network; its tables are written all the same.
    """
    from emulator.backends.live import doctor
    from emulator.backends.live.backend import LiveBackend, LiveOptions
    from emulator.backends.live.slices import slice_plan

    options = live or LiveOptions()
    part = slice_plan(plan, options.from_s, options.for_s)
    reason = doctor.missing(out, options.sandbox)
    if reason is not None:  # before a run folder is made for nothing
        raise BackendUnavailable(reason)
    folder = _open_folder(scenario, part, out, run_name)
    folder.write_status("interrupted", backend="mininet")
    backend = LiveBackend(folder.path, options, on_stage)
    if on_start:
        on_start(part, folder)
    result = _carry_out(folder, part, backend, with_report=with_report, on_start=None, on_stage=on_stage)
    if backend.fidelity is not None and backend.fidelity.verdict == "INVALID" and not options.allow_invalid:
        raise Unfaithful(
            "the run is INVALID, it measured this machine more than the network: "
            + "; ".join(backend.fidelity.reasons)
            + f". Its tables are in {folder.path}; use a quieter machine or fewer clients, or accept it with --allow-invalid"
        )
    return result


def resume(
    run_path: Path | str,
    *,
    workers: int | None = None,
    with_report: bool = True,
    on_start: Callable[[Plan, RunFolder], Sequence[Listener]] | None = None,
    on_stage: Callable[[str], None] = lambda _stage: None,
) -> Result:
    """Go on with an interrupted run: ClientApp calls already made are taken from its journal.

    Raises:
        UsageError: Not a run folder, the run is finished, or it is still running.
    """
    folder = RunFolder(Path(run_path))
    state = folder.read_status()["state"]
    if state == "finished":
        raise UsageError(f"{folder.path} is finished; nothing is left to resume")
    if folder.read_status().get("backend") == "mininet":
        raise UsageError(f"{folder.path} is a live run, and real time cannot be taken up again; run the scenario anew")
    if folder.is_running():
        raise UsageError(
            f"{folder.path} is still being written by process {folder.read_status()['pid']}; wait or end it"
        )
    plan = folder.read_plan()
    before = folder.path / "events-before"
    if folder.events.exists():
        shutil.rmtree(before, ignore_errors=True)
        folder.events.rename(before)
    folder.write_status("interrupted")
    result = _carry_out(
        folder,
        plan,
        _virtual_time(folder, workers, folder.path),
        with_report=with_report,
        on_start=on_start,
        on_stage=on_stage,
    )
    shutil.rmtree(before, ignore_errors=True)
    return result


def report(run_path: Path | str, *, on_stage: Callable[[str], None] = lambda _stage: None) -> Result:
    """Write tables, summary, figures and report of a run folder anew from its event log and plan.

    Raises:
        UsageError: Not a run folder.
    """
    folder = RunFolder(Path(run_path))
    status = folder.read_status()
    plan = folder.read_plan()
    is_whole = status["state"] == "finished"
    summary = _publish(folder, plan, with_report=True, on_stage=on_stage, is_whole=is_whole)
    return Result(folder.path, status["state"], status.get("digest", ""), summary)


def audit(run_path: Path | str) -> AuditResult:
    """Let the app's own auditor check a run folder, offline.

    Raises:
        UsageError: Not a run folder, or the app names no auditor.
    """
    from emulator.flower.audit import audit_run

    folder = RunFolder(Path(run_path))
    folder.read_status()
    return audit_run(Path(folder.read_plan().app.path), folder.path)


class Backend(Protocol):
    """What carries out a plan."""

    cost: Any

    def run(self, plan: Plan, log: EventLog) -> str:
        """Carry out ``plan``, write its events to ``log``, and return ``finished`` or ``interrupted``."""


def _virtual_time(folder: RunFolder, workers: int | None, measured_in: Path | None) -> Backend:
    from emulator.backends.des.backend import RunOptions, VirtualTimeBackend

    return VirtualTimeBackend(RunOptions(folder.path, workers or os.cpu_count() or 1, measured_in))


def _carry_out(
    folder: RunFolder,
    plan: Plan,
    backend: Backend,
    *,
    with_report: bool,
    on_start: Callable[[Plan, RunFolder], Sequence[Listener]] | None,
    on_stage: Callable[[str], None],
) -> Result:
    log = EventLog(folder.events)
    log.listeners.extend(on_start(plan, folder) if on_start else ())
    state = "failed"
    kept = {name: value for name, value in folder.read_status().items() if name == "backend"}
    try:
        state = backend.run(plan, log)
    except EmulatorError as error:
        folder.write_status("failed", ended=True, error=str(error), digest=log.digest, **kept)
        if log.count > 1:
            with suppress(Exception):  # tables of a failed run are a courtesy; why it failed matters more
                _publish(folder, plan, with_report=with_report, on_stage=on_stage)
        raise
    gc.collect()  # the world is one large cycle; tables and report need the room
    folder.write_status(state, ended=True, digest=log.digest, host_cost=backend.cost.__dict__, **kept)
    summary = _publish(folder, plan, with_report=with_report, on_stage=on_stage)
    return Result(folder.path, state, log.digest, summary)


def _publish(
    folder: RunFolder, plan: Plan, *, with_report: bool, on_stage: Callable[[str], None], is_whole: bool = True
) -> dict[str, Any]:
    """Check the log, and write tables, summary, figures and report from it; a killed run's log just ends."""
    from emulator.events import read_events
    from emulator.invariants import check_events
    from emulator.metrics import build_tables, summarise, write_tables
    from emulator.metrics.history import HistoryReader

    on_stage("checking the event log")
    reader = HistoryReader(plan)
    events = reader.follow(read_events(folder.events))  # streamed: a long log need not fit into memory
    broken = check_events(events, plan, is_cut_short=not is_whole)
    if broken:
        raise EmulatorError(
            "the event log breaks its own rules, which is a fault of the emulator, not of the scenario; "
            f"please report it with {folder.plan} and {folder.scenario}:\n  " + "\n  ".join(broken[:10])
        )
    on_stage("writing tables")
    history = reader.finish()
    tables = build_tables((), plan, history=history)
    write_tables(tables, folder.path / "tables")
    summary = summarise(tables, plan, (), history=history)
    folder.summary.write_text(json.dumps(summary, indent=2) + "\n")
    if with_report:
        from emulator.report import write_figures, write_report

        on_stage("writing report.html and figures")
        write_report(folder.path, (), tables, summary, plan, history=history)
        write_figures(folder.path / "figures", (), tables, plan, history=history)
    return summary


def _check_backend(name: str) -> None:
    if name in BACKENDS:
        return
    raise UsageError(f"--backend: got {name!r}; allowed: {', '.join(BACKENDS)}{nearest(name, BACKENDS)}")
