"""The live backend: hands a plan to a sandbox, waits, and turns what its processes wrote into the event log."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

from emulator.backends.live import cgroups, demands, doctor
from emulator.backends.live.collect import Collector
from emulator.backends.live.commands import environment
from emulator.backends.live.fidelity import Fidelity, judge
from emulator.backends.live.hooks.serverapp import LOST
from emulator.backends.live.job import LiveJob
from emulator.backends.live.journal import read_journals, read_rows
from emulator.backends.live.linux import die_with_parent
from emulator.backends.live.network import describe_network
from emulator.backends.live.sandbox import sandbox_command
from emulator.backends.live.shaping import refused
from emulator.errors import BackendUnavailable, RunFailed, ServerAppLost
from emulator.events import EventLog
from emulator.plan import Plan

Status = Literal["finished", "interrupted", "failed"]
LOOK_S: Final = 0.2
GROUPS: Final = "groups.json"
UML_START_LIMIT_S: Final = 900.0
UML_LEASE_S: Final = 300.0
"""A Python start that takes three seconds here takes half a minute where several share a User Mode Linux guest's one core."""


@dataclass(frozen=True)
class LiveOptions:
    """How to carry out a live run.

    Attributes:
        shaper: ``auto``, ``userspace`` or ``netem``.
        from_s: Where in the plan the run begins.
        for_s: How long it may last; None for as long as the ServerApp.
        with_captures: Keep a packet capture for every link.
        sandbox: ``namespaces`` of this kernel, or ``uml``: a User Mode Linux kernel of the run's own.
        cpu: How a device's slowness comes about: ``hold`` keeps a reply until the device would have it, ``quota`` gives the
            ClientApp a share of a core.
        allow_invalid: Accept a run whose verdict is INVALID.
    """

    shaper: str = "auto"
    from_s: float = 0.0
    for_s: float | None = None
    with_captures: bool = False
    sandbox: str = "namespaces"
    cpu: str = "hold"
    allow_invalid: bool = False


@dataclass(frozen=True)
class LiveCost:
    """What a live run took of this machine's time.

    Attributes:
        bring_up_s: From the first namespace until all SuperNodes had joined.
        cpu_s: CPU seconds of all its processes while the app ran.
    """

    bring_up_s: float = 0.0
    cpu_s: float = 0.0


class LiveBackend:
    """Runs a plan on the Linux kernel with real Flower processes.

    Args:
        folder: The run folder.
        options: See ``LiveOptions``.
        on_stage: Told in a few words what has been reached.
    """

    name = "mininet"

    def __init__(
        self, folder: Path, options: LiveOptions, on_stage: Callable[[str], None] = lambda _text: None
    ) -> None:
        self._folder = folder.resolve()
        self._options = options
        self._on_stage = on_stage
        self._job_folder = self._folder / "live"
        self.cost = LiveCost()
        self.fidelity: Fidelity | None = None

    def available(self) -> str | None:
        """Return why this machine cannot run it, or None."""
        return doctor.missing(self._folder, self._options.sandbox)

    def run(self, plan: Plan, log: EventLog) -> Status:
        """Carry out ``plan``, a slice already.

        Returns:
            ``finished``, also where the slice was over before the ServerApp, or ``interrupted`` after Ctrl-C.

        Raises:
            BackendUnavailable: The machine cannot, or the network or Flower did not come up.
            RunFailed: The ServerApp failed, or the SuperLink ended.
        """
        job = self._with_groups(self._make_job(plan), plan)
        log.append(0.0, "run_started", value=plan.seed, note=plan.scenario)
        is_interrupted = False
        try:
            self._carry_out(plan, job.write(demands.with_queues(plan)))
        except KeyboardInterrupt:
            is_interrupted = True
        finally:
            remove_recorded_groups(self._job_folder)
        rows = read_journals(job.journals)
        failure = next((row for row in rows if row["what"] == "failed"), None)
        outcome = next((row for row in rows if row["what"] == "serverapp_ended"), None)
        status: Status = "interrupted" if is_interrupted else "finished"
        if failure is not None or (outcome is not None and outcome["outcome"] != "finished"):
            status = "failed"
        self._write_log(plan, log, rows, status)
        if failure is not None:
            kind = BackendUnavailable if failure["exit_code"] == BackendUnavailable.exit_code else RunFailed
            raise kind(failure["why"])
        if outcome is not None and outcome["outcome"].startswith(LOST):
            raise ServerAppLost(
                f"the ServerApp was {outcome['outcome']}: Flower ends the run. An app that keeps checkpoints goes on in a new "
                "run without this failure"
            )
        if status == "failed" and outcome is not None:
            raise RunFailed(
                f"the ServerApp ended with {outcome['outcome']}; its output is in {self._job_folder / 'logs'}"
            )
        return status

    def _make_job(self, plan: Plan) -> LiveJob:
        """Return the job, or refuse what cannot be honoured before anything is started."""
        reason = self.available()
        if reason is not None:
            raise BackendUnavailable(reason)
        cannot = demands.refusals(plan, doctor.congestion_controls())
        if cannot:
            raise BackendUnavailable("; ".join(cannot))
        refusals = refused(plan, "netem")
        in_uml = self._options.sandbox == "uml"
        shaper = doctor.choose_shaper(self._options.shaper, refusals, has_netem=in_uml or None)
        if shaper == "netem" and refusals:
            raise BackendUnavailable("; ".join(refusals))
        if shaper == "netem" and not in_uml and not doctor.can_netem():
            raise BackendUnavailable(
                "this kernel has no netem or brctl is missing; use --shaper userspace, or a kernel that has it"
            )
        job = LiveJob(
            str(self._job_folder), shaper, demands.congestion_control(plan), for_s=self._options.for_s,
            with_captures=self._options.with_captures,
        )  # fmt: skip
        return replace(job, start_limit_s=UML_START_LIMIT_S, lease_s=UML_LEASE_S) if in_uml else job

    def _with_groups(self, job: LiveJob, plan: Plan) -> LiveJob:
        """Return the job with control groups for its ClientApps, made here where this machine allows it.

        Raises:
            BackendUnavailable: A CPU quota is asked for, and there can be none.
        """
        by_quota = self._options.cpu == "quota"
        where = {} if self._options.sandbox == "uml" else cgroups.places()
        if by_quota and "cpu" not in where:
            raise BackendUnavailable(
                "a CPU quota needs control groups that this process may make, and no User Mode Linux guest; run as root "
                "on a machine with writable /sys/fs/cgroup, or use --cpu hold"
            )
        hosts = {host.node: host.name for host in describe_network(plan).hosts}
        limits = {
            hosts[node.name]: cgroups.Limits(
                1 / (device.cpu_time_factor or 1.0) if by_quota else None, device.memory_bytes
            )
            for node in plan.clients
            if (device := node.device) is not None
        }
        name = f"emulate-{os.getpid()}-{time.time_ns()}"
        groups = cgroups.make_groups(name, limits, where)
        self._job_folder.mkdir(parents=True, exist_ok=True)
        folders = sorted({folder for each in groups.values() for folder in each})
        (self._job_folder / GROUPS).write_text(json.dumps({"name": name, "folders": folders}))
        return replace(job, groups=groups, holds=not by_quota)

    # -- the sandbox --------------------------------------------------------------------------------------------

    def _carry_out(self, plan: Plan, job_path: Path) -> None:
        """Run the sandbox to its end; on Ctrl-C end it, with everything in it."""
        self._on_stage("building the network")
        (self._job_folder / "logs").mkdir(exist_ok=True)
        clock = {"wall_minus_monotonic_s": time.time() - time.monotonic()}
        (self._job_folder / "clock.json").write_text(json.dumps(clock))
        surroundings = environment(self._job_folder / "flwr", self._job_folder / "bin", plan.flower)
        command = sandbox_command(job_path, self._options.sandbox, surroundings)
        with (self._job_folder / "logs" / "sandbox.log").open("wb") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                preexec_fn=die_with_parent, env=surroundings,
            )  # fmt: skip
        record_process(self._job_folder, process.pid)
        try:
            said = 0
            while process.poll() is None:
                said = self._tell_progress(said)
                time.sleep(LOOK_S)
            self._tell_progress(said)
        finally:
            end_recorded_process(self._job_folder)
            process.wait()
        journal = self._job_folder / "journals" / "director.jsonl"
        if not journal.exists() or not any(row["what"] in ("ended", "failed") for row in read_rows(journal)):
            words = (self._job_folder / "logs" / "sandbox.log").read_text(errors="replace")[-1500:]
            raise RunFailed(f"the run's sandbox ended early (exit {process.returncode}):\n{words}")

    def _tell_progress(self, said: int) -> int:
        """Pass on what the director and the ServerApp have reached since; returns how much has been said."""
        texts = []
        for path in sorted((self._job_folder / "journals").glob("*.jsonl")):
            if path.stem == "director" or path.stem.endswith("-serverapp"):
                texts += [(row["at_s"], _STAGES[row["what"]](row)) for row in read_rows(path) if row["what"] in _STAGES]
        for _, text in sorted(texts)[said:]:
            self._on_stage(text)
        return len(texts)

    # -- afterwards ---------------------------------------------------------------------------------------------

    def _write_log(self, plan: Plan, log: EventLog, rows: list[dict[str, Any]], status: Status) -> None:
        by_what = {row["what"]: row for row in rows}
        began = by_what.get("began")
        end_s = 0.0
        if began is not None:
            zero_s = began["at_s"]
            ended = by_what.get("serverapp_ended") or by_what.get("slice_over") or rows[-1]
            Collector(plan, log, zero_s).collect(rows, ended["at_s"])
            end_s = ended["at_s"] - zero_s
            self.fidelity = judge(rows)
            (self._job_folder / "fidelity.json").write_text(json.dumps(self.fidelity.to_dict(), indent=2) + "\n")
            reasons = "; ".join(self.fidelity.reasons)
            log.append(end_s, "notice", note=f"fidelity {self.fidelity.verdict}" + (f": {reasons}" if reasons else ""))
        if "slice_over" in by_what:
            log.append(end_s, "notice", note="the slice was over before the ServerApp ended")
        log.append(end_s, "run_finished", note=status)
        log.flush()
        machine, ready = by_what.get("machine", {}), by_what.get("ready", {})
        self.cost = LiveCost(ready.get("bring_up_s", 0.0), machine.get("own_cpu_s", 0.0))


_STAGES: Final[dict[str, Callable[[dict[str, Any]], str]]] = {
    "ready": lambda row: f"all SuperNodes have joined after {row['bring_up_s']:.0f} s ({row['shaper']} shaper)",
    "serverapp_started": lambda _row: "the ServerApp has started",
    "round_opened": lambda row: f"round {row['round']} is open: {row['value']:.0f} messages",
    "round_closed": lambda row: f"round {row['round']} is closed: {row['value']:.0f} nodes answered",
    "action": lambda row: f"{row['node']}: {row['action']} {row['cause']}".strip(),
}


def remove_recorded_groups(folder: Path) -> None:
    """Remove the control groups that a run wrote down, and no others."""
    path = folder / GROUPS
    if path.exists():
        cgroups.remove_groups(**json.loads(path.read_text()))


def record_process(folder: Path, process: int) -> None:
    """Write down which process holds the run's sandbox, and when it began (a number may be used again)."""
    (folder / "sandbox.json").write_text(json.dumps({"process": process, "began": _began(process)}))


def end_recorded_process(folder: Path) -> bool:
    """End the sandbox that ``record_process`` wrote down, if it is still that very process; returns whether it was."""
    path = folder / "sandbox.json"
    if not path.exists():
        return False
    record = json.loads(path.read_text())
    if record["began"] is None or _began(record["process"]) != record["began"]:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.killpg(record["process"], signal.SIGKILL)  # it leads a group of its own, which a guest kernel uses
    return True


def _began(process: int) -> int | None:
    """Return when a process began, in clock ticks since the machine's start; None where there is none."""
    try:
        return int(Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[19])
    except (OSError, IndexError):
        return None


__all__ = ["LiveBackend", "LiveCost", "LiveOptions", "end_recorded_process", "remove_recorded_groups"]
