"""One run in virtual time: everything it holds open, with a real app or with given timings."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from emulator.backends.des.calls import GivenCalls, RealCalls
from emulator.backends.des.grid import VirtualGrid
from emulator.backends.des.options import HostCost, RunOptions, Status
from emulator.backends.des.recorder import Recorder
from emulator.backends.des.rounds import Rounds
from emulator.backends.des.sample import Crowd, SampledCalls
from emulator.backends.des.serverwork import ServerWork
from emulator.backends.des.timing import run_rounds
from emulator.backends.des.world import World
from emulator.compute.measured import Measurements, load_measurements
from emulator.errors import EmulatorError, RunFailed
from emulator.events import EventLog
from emulator.flower import adapter, clock
from emulator.flower.appinfo import read_app_info
from emulator.flower.audit import keep_files
from emulator.flower.executor import CORES_VARIABLE, Executor
from emulator.flower.journal import Journal
from emulator.flower.logs import app_output_to
from emulator.flower.observe import observed_strategies
from emulator.flower.worker import prepare_process
from emulator.plan import Plan
from emulator.rng import derive_seed


class Session(Protocol):
    """A run from its first event to its last."""

    def __init__(self, plan: Plan, log: EventLog, options: RunOptions) -> None:
        """Load what is needed and make the world; nothing is logged yet."""

    def serve(self) -> None:
        """Carry out all rounds."""

    def close(self, status: Status) -> HostCost:
        """Close the log with ``status`` and free everything; returns what the run cost this machine."""


@contextmanager
def entitled_to(cores: int) -> Iterator[None]:
    """Tell the ServerApp how many cores it may keep busy, in Python's own variable; while it computes, workers are idle."""
    before = os.environ.get(CORES_VARIABLE)
    os.environ[CORES_VARIABLE] = str(cores)
    try:
        yield
    finally:
        if before is None:
            del os.environ[CORES_VARIABLE]
        else:
            os.environ[CORES_VARIABLE] = before


def _close_log(world: World, rounds: Rounds, status: Status) -> None:
    rounds.end()
    world.end()
    world.log.append(world.now_s, "run_finished", note=status)
    world.log.flush()


class TimingSession:
    """Rounds without learning."""

    def __init__(self, plan: Plan, log: EventLog, options: RunOptions) -> None:
        assert plan.timing is not None  # the backend chose this session because of it
        self._spec = plan.timing
        calls = GivenCalls(plan.timing)
        self._world = World(plan, log, calls, Measurements(options.folder), bundle_bytes=0)
        self._rounds = Rounds(self._world)

    def serve(self) -> None:
        """Carry out all rounds."""
        run_rounds(self._world, self._rounds, self._spec)

    def close(self, status: Status) -> HostCost:
        """Close the log."""
        _close_log(self._world, self._rounds, status)
        return HostCost()


class AppSession:
    """A Flower app, unmodified.

    Raises:
        AppLoadError: The app cannot be imported.
    """

    def __init__(self, plan: Plan, log: EventLog, options: RunOptions) -> None:
        app_dir = Path(plan.app.path)
        self._server_app = adapter.load_component(app_dir, "serverapp")
        client_app = adapter.load_component(app_dir, "clientapp")
        self._folder = options.folder
        self._workers = options.workers
        info = read_app_info(app_dir)
        self._journal = Journal(options.folder / "journal.bin")
        measurements = load_measurements(options.folder, options.measured_in or options.folder)
        self._executor = Executor(
            client_app, plan.app.run_config, workers=options.workers, journal=self._journal,
            fresh_process=plan.app.fresh_process,
            log_path=options.folder / "clientapp.log",
        )  # fmt: skip
        self._calls = RealCalls(plan, self._executor)
        sampled = SampledCalls(self._calls) if plan.app.trained else None
        self._world = World(plan, log, sampled or self._calls, measurements, info.bundle_bytes)
        if sampled is not None:
            sampled.nodes = self._world.nodes
        self._context = adapter.make_context(
            adapter.SERVER_NODE_ID, {}, adapter.empty_content(), dict(plan.app.run_config)
        )
        self._work = ServerWork(self._world, self._context, reports_work=info.reports_work)
        self._rounds = Rounds(self._world)
        crowd = Crowd(self._world, self._rounds, self._work)
        self._grid = VirtualGrid(self._world, self._work, self._rounds, crowd)
        self._recorder = Recorder(self._world, self._grid, self._rounds, options.folder / "weights")
        self._seed = derive_seed(plan.seed, "serverapp")

    def serve(self) -> None:
        """Run the ServerApp to its end."""
        prepare_process(self._seed)
        adapter.set_identity(adapter.SERVER_NODE_ID)
        with (
            entitled_to(self._workers),
            app_output_to(self._folder / "serverapp.log"),
            observed_strategies(self._recorder),
        ):
            self._work.restart()
            try:
                with clock.virtual_time(self._grid):
                    self._server_app(grid=self._grid, context=self._context)
                self._grid.settle()
            except EmulatorError:
                raise
            except (Exception, SystemExit) as error:  # an app may raise anything: it is the app's failure, told as such
                traceback.print_exc()
                raise self._grid.failure or RunFailed(
                    f"the ServerApp raised {type(error).__name__}: {error}; the traceback is in {self._folder}/serverapp.log"
                ) from error
        if self._grid.failure is not None:
            raise self._grid.failure

    def close(self, status: Status) -> HostCost:
        """Close the log with ``status`` and end the workers."""
        _close_log(self._world, self._rounds, status)
        self._world.measurements.save()
        self._calls.recorder.save(self._folder)
        self._executor.close()
        keep_files(self._folder, self._context.state)
        if status == "finished":
            self._journal.discard()
        else:
            self._journal.close()
        return HostCost(self._executor.cpu_s, self._work.cpu_s, self._executor.calls)
