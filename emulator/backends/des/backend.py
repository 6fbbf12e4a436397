"""The virtual-time backend: imports the Flower app, makes the world, runs the ServerApp in it, and closes the log."""

from __future__ import annotations

import random
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from emulator.compute.measured import load_measurements
from emulator.errors import EmulatorError, RunFailed
from emulator.events import EventLog
from emulator.flower import clock
from emulator.interrupts import deferred_interrupts
from emulator.plan import Plan
from emulator.rng import derive_seed

Status = Literal["finished", "interrupted", "failed"]


@dataclass(frozen=True)
class RunOptions:
    """How to carry out a run on this machine; none of it changes the event log.

    Attributes:
        folder: Run folder.
        workers: Worker processes for ClientApp calls.
        measured_in: Folder with measurements to replay, or None.
    """

    folder: Path
    workers: int
    measured_in: Path | None = None


@dataclass(frozen=True)
class HostCost:
    """CPU seconds the run cost this machine.

    Attributes:
        client_cpu_s: Inside ClientApp calls.
        server_cpu_s: Inside the ServerApp (aggregation and evaluation).
        client_calls: Number of calls computed (those taken from the journal not counted).
    """

    client_cpu_s: float = 0.0
    server_cpu_s: float = 0.0
    client_calls: int = 0


class VirtualTimeBackend:
    """Runs a plan in virtual time."""

    name = "des"

    def __init__(self, options: RunOptions) -> None:
        self._options = options
        self.cost = HostCost()

    def available(self) -> str | None:
        """Return why this machine cannot run it; it always can."""
        return None

    def run(self, plan: Plan, log: EventLog) -> Status:
        """Carry out ``plan``.

        Returns:
            ``finished``, or ``interrupted`` after Ctrl-C.

        Raises:
            RunFailed: The ServerApp raised, the clock stood still, or the horizon was passed; the log is closed as ``failed``.
        """
        clock.install()  # before flwr and the app bind time.sleep and time.time by name
        from emulator.flower import adapter

        app_dir = Path(plan.app.path)
        server_app = adapter.load_component(app_dir, "serverapp")
        client_app = adapter.load_component(app_dir, "clientapp")
        status: Status = "failed"
        log.append(0.0, "run_started", value=plan.seed, note=plan.scenario)
        session = _Session(plan, log, self._options, client_app)
        with deferred_interrupts():
            try:
                session.serve(server_app)
                status = "finished"
            except KeyboardInterrupt:
                status = "interrupted"
            finally:
                self.cost = session.close(status)
        return status


class _Session:
    """Everything one run holds open."""

    def __init__(self, plan: Plan, log: EventLog, options: RunOptions, client_app: Any) -> None:
        from emulator.backends.des.grid import VirtualGrid
        from emulator.backends.des.recorder import Recorder
        from emulator.backends.des.rounds import Rounds
        from emulator.backends.des.serverwork import ServerWork
        from emulator.backends.des.world import World
        from emulator.flower import adapter, appinfo
        from emulator.flower.executor import Executor
        from emulator.flower.journal import Journal

        self._log, self._folder = log, options.folder
        info = appinfo.read_app_info(Path(plan.app.path))
        self._journal = Journal(options.folder / "journal.bin")
        measurements = load_measurements(options.folder, options.measured_in or options.folder)
        self._executor = Executor(
            client_app, plan.app.run_config, workers=options.workers, journal=self._journal,
            log_path=options.folder / "clientapp.log",
        )  # fmt: skip
        self._world = World(plan, log, self._executor, measurements, info.bundle_bytes)
        self._context = adapter.make_context(
            adapter.SERVER_NODE_ID, {}, adapter.empty_content(), dict(plan.app.run_config)
        )
        self._work = ServerWork(self._world, self._context, reports_work=info.reports_work)
        self._rounds = Rounds(self._world)
        self._grid = VirtualGrid(self._world, self._work, self._rounds)
        self._recorder = Recorder(self._world, self._grid, options.folder / "weights")
        self._seed = derive_seed(plan.seed, "serverapp")

    def serve(self, server_app: Any) -> None:
        """Run the ServerApp to its end."""
        from emulator.flower import adapter
        from emulator.flower.logs import app_output_to
        from emulator.flower.observe import observed_strategies

        random.seed(self._seed)
        np.random.seed(self._seed % 2**32)
        adapter.set_identity(adapter.SERVER_NODE_ID)
        with app_output_to(self._folder / "serverapp.log"), observed_strategies(self._recorder):
            self._work.restart()
            try:
                with clock.virtual_time(self._grid):
                    server_app(grid=self._grid, context=self._context)
                self._grid.settle()
            except EmulatorError:
                raise
            except Exception as error:  # an app may raise anything: it is the app's failure, told as such
                traceback.print_exc()
                raise self._grid.failure or RunFailed(
                    f"the ServerApp raised {type(error).__name__}: {error}; the traceback is in {self._folder}/serverapp.log"
                ) from error
        if self._grid.failure is not None:
            raise self._grid.failure

    def close(self, status: Status) -> HostCost:
        """Close the log with ``status`` and end the workers."""
        self._rounds.close()
        self._world.end()
        self._log.append(self._world.now_s, "run_finished", note=status)
        self._log.flush()
        self._world.measurements.save()
        self._executor.close()
        if status == "finished":
            self._journal.discard()
        else:
            self._journal.close()
        return HostCost(self._executor.cpu_s, self._work.cpu_s, self._executor.calls)
