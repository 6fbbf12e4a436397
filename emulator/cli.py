"""The ``emulate`` command: the only module that prints or exits."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from emulator import livecommands
from emulator.errors import EmulatorError, ScenarioError, UsageError

EXIT_INTERRUPTED = 130
EXIT_SYSTEM = 4
EXIT_AUDIT = 5
_EPILOG = """\
also:  emulate resume RUN            go on with an interrupted run
       emulate report RUN            write tables and report.html anew from the event log
       emulate events RUN [--jsonl]  print the event log
       emulate audit RUN             check the app's signed record of a run, offline
       emulate topology SCENARIO     draw the network
       emulate study FILE            scenario variants times seeds, compared
       emulate profiles [NAME]       list device and link profiles with their sources
       emulate calibrate             measure this machine and write a device profile
       emulate compare LIVE VIRTUAL  how far two runs are apart, round by round; or compare SCENARIO: runs both
       emulate doctor                say what this machine can do for a live run, and what to install
       emulate cleanup RUN           end what a live run that was cut off has left behind

exit codes: 0 done, 2 scenario or usage, 3 backend unavailable, 4 run failed,
            5 comparison outside tolerance, failed audit or live run INVALID, 130 interrupted
"""


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")  # one thread per process: results must not depend on the host's cores
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")  # Arrow's own pool holds some 12 MB more
    command = _COMMANDS.get(arguments[0]) if arguments else None
    errors = Console(stderr=True, soft_wrap=True, highlight=False)
    try:
        code = command(arguments[1:]) if command else _run(arguments)
    except EmulatorError as error:
        errors.print(escape(str(error)), style="red" if errors.is_terminal else None)
        code = error.exit_code
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
    except BrokenPipeError:  # the reader (head, less) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except OSError as error:
        place = f" {error.filename}" if error.filename else ""
        errors.print(escape(f"the system refused:{place}: {error.strerror or error}; what was computed is kept"))
        code = EXIT_SYSTEM
    sys.exit(code)


def _run(arguments: list[str]) -> int:
    options = _run_parser().parse_args(arguments)
    if options.data_dir is not None:
        options.set.append(f"data.dir={json.dumps(str(Path(options.data_dir).resolve()))}")
    if options.check or options.show_config or options.plan:
        return _inspect(options)
    from emulator import runner
    from emulator.registry import nearest

    meant = nearest(options.scenario, list(_COMMANDS))
    if meant and not Path(options.scenario).exists():
        raise UsageError(f"{options.scenario!r} is neither a scenario file nor a command{meant}")
    return _with_progress(
        lambda **hooks: runner.run(
            options.scenario, overrides=options.set, quick=options.quick, seed=options.seed, backend=options.backend,
            out=options.out, run_name=options.run, workers=options.workers, with_report=not options.no_report,
            live=livecommands.live_options(options), **hooks,
        )
    )  # fmt: skip


def _inspect(options: argparse.Namespace) -> int:
    """Carry out --check, --show-config and --plan: read and plan, run nothing."""
    from emulator.runner import plan_scenario
    from emulator.scenario import dump_scenario

    scenario, plan = plan_scenario(
        Path(options.scenario), overrides=options.set, quick=options.quick, seed=options.seed
    )
    if options.show_config:
        print(dump_scenario(scenario), end="")
    elif options.plan:
        print(json.dumps(plan.to_dict(), indent=1))
    else:
        print(
            f"{options.scenario} is sound: {len(plan.clients)} clients, {len(plan.links)} links, "
            f"{len(plan.outages)} outages until the horizon, {len(plan.assumptions)} figures are estimates"
        )
    return 0


def _resume(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="emulate resume", description="Go on with an interrupted run.")
    parser.add_argument("run", help="run folder, results/<scenario>/<run>")
    _add_host_options(parser)
    options = parser.parse_args(arguments)
    from emulator import runner

    return _with_progress(
        lambda **hooks: runner.resume(options.run, workers=options.workers, with_report=not options.no_report, **hooks)
    )


def _report(arguments: list[str]) -> int:
    from emulator import runner
    from emulator.metrics.panel import summary_panel

    parser = argparse.ArgumentParser(prog="emulate report", description="Write tables and report of a run anew.")
    parser.add_argument("run", help="run folder, results/<scenario>/<run>")
    options = parser.parse_args(arguments)
    console = Console()
    result = runner.report(options.run, on_stage=lambda text: console.print(f"{text} ...", style="dim"))
    console.print(summary_panel(result.summary))
    console.print(f"report: {result.folder / 'report.html'}", soft_wrap=True)
    return 0


def _with_progress(action: Callable[..., Any]) -> int:
    """Run ``action`` with a view of its progress, then show the summary."""
    from emulator.metrics.panel import summary_panel
    from emulator.progress import LiveProgress, PlainProgress, RunView

    console = Console(file=sys.stdout)  # bound now: during the run sys.stdout belongs to the app
    progress: list[LiveProgress | PlainProgress] = []

    def on_start(plan: Any, folder: Any) -> list[Any]:
        console.print(
            f"[bold]{escape(plan.scenario)}[/]  seed {plan.seed}, {len(plan.clients)} clients -> {folder.path}"
        )
        kind = LiveProgress if console.is_terminal else PlainProgress
        progress.append(kind(RunView(plan), console))
        progress[0].__enter__()
        return [progress[0].see]

    def on_stage(text: str) -> None:
        _leave(progress)
        console.print(f"{text} ...", style="dim")

    try:
        result = action(on_start=on_start, on_stage=on_stage)
    finally:
        _leave(progress)
    console.print(summary_panel(result.summary))
    console.print(f"event log SHA-256 {result.digest}", style="dim", soft_wrap=True)
    report = result.folder / "report.html"
    console.print(f"report: {report}" if report.exists() else f"run folder: {result.folder}", soft_wrap=True)
    if result.status != "finished":
        console.print(f"interrupted; go on with: emulate resume {result.folder}", style="bold yellow", soft_wrap=True)
        return EXIT_INTERRUPTED
    return 0


def _leave(progress: list[Any]) -> None:
    if progress:
        progress.pop().__exit__(None, None, None)


def _study(arguments: list[str]) -> int:
    from emulator.study import Cell, run_study

    parser = argparse.ArgumentParser(
        prog="emulate study", description="Run scenario variants times seeds and compare them; finished runs are kept."
    )
    parser.add_argument("study", help="study file, for example scenarios/paper/p1.yaml")
    parser.add_argument("--out", default="results", help="parent of the study's folder (default: %(default)s)")
    parser.add_argument("--workers", type=_positive, help="runs at a time (default: all cores)")
    parser.add_argument("--only", default="", help="variants to run, joined by commas (default: all)")
    options = parser.parse_args(arguments)
    console = Console(highlight=False, soft_wrap=True)
    done: list[Cell] = []
    planned: list[Cell] = []

    def on_cell(cell: Cell, state: str) -> None:
        done.append(cell)
        console.print(f"{len(done)} of {len(planned)}  {cell.variant.name}  seed {cell.seed}: {state}", markup=False)

    result = run_study(
        Path(options.study), out=Path(options.out), processes=options.workers, on_plan=planned.extend, on_cell=on_cell,
        only=[name for name in options.only.split(",") if name],
    )  # fmt: skip
    for name, why in result.failures.items():
        console.print(f"{name} failed: {why}", style="red", markup=False)
    console.print(result.text, markup=False)
    console.print(f"tables: {result.folder}")
    return EmulatorError.exit_code if result.failures else 0


def _events(arguments: list[str]) -> int:
    from emulator.events import read_events
    from emulator.runfolder import RunFolder

    parser = argparse.ArgumentParser(prog="emulate events", description="Print the event log of a run.")
    parser.add_argument("run", help="run folder, results/<scenario>/<run>")
    parser.add_argument("--jsonl", action="store_true", help="one JSON object per row, empty fields left out")
    options = parser.parse_args(arguments)
    folder = RunFolder(Path(options.run))
    folder.read_status()
    for event in read_events(folder.events):
        fields = {name: value for name, value in event._asdict().items() if value is not None and value != ""}
        if options.jsonl:
            print(json.dumps(fields))
        else:
            rest = "  ".join(f"{k}={v}" for k, v in fields.items() if k not in ("seq", "t_s", "kind"))
            print(f"{event.t_s:14.3f}  {event.kind:18s} {rest}")
    return 0


def _audit(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="emulate audit", description="Check the app's signed record of a run (fedgen: its ledger), offline."
    )
    parser.add_argument("run", help="run folder, results/<scenario>/<run>")
    parser.add_argument("--name", help="what the record calls itself, where that is known from elsewhere")
    options = parser.parse_args(arguments)
    from emulator import runner

    result = runner.audit(options.run)
    print(result.summary, f"name {result.name}", *(f"note: {notice}" for notice in result.notices), sep="\n")
    faults = list(result.faults)
    if options.name is not None and options.name != result.name:
        faults.append(f"this is not the record named {options.name}: it was written anew")
    print("\n".join(f"BAD  {fault}" for fault in faults) or "everything is right")
    return EXIT_AUDIT if faults else 0


def _topology(arguments: list[str]) -> int:
    from emulator.report.figures import draw_topology
    from emulator.runner import plan_scenario

    parser = argparse.ArgumentParser(prog="emulate topology", description="Draw a scenario's network.")
    parser.add_argument("scenario")
    parser.add_argument("--to", default="topology.svg", help="file to write, .svg or .png (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="the scenario's quick setting")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change one value; may be repeated"
    )
    options = parser.parse_args(arguments)
    if Path(options.to).suffix not in (".svg", ".png"):
        raise UsageError(f"--to: got {options.to!r}; allowed: a name ending in .svg or .png")
    _scenario, plan = plan_scenario(Path(options.scenario), overrides=options.set, quick=options.quick)
    draw_topology(plan, Path(options.to))
    print(f"{len(plan.nodes)} nodes and {len(plan.links)} links drawn to {options.to}")
    return 0


def _profiles(arguments: list[str]) -> int:
    from emulator.models.catalogue import profile_table, profiles_table

    parser = argparse.ArgumentParser(prog="emulate profiles", description="List device and link profiles.")
    parser.add_argument("name", nargs="?", help="one profile in full, with the source of every figure")
    options = parser.parse_args(arguments)
    console = Console()
    for table in [profile_table(options.name)] if options.name else profiles_table():
        console.print(table)
    return 0


def _calibrate(arguments: list[str]) -> int:
    from emulator.compute.calibrate import calibrate
    from emulator.models.devices import device_table
    from emulator.models.facts import write_profile_file

    classes = sorted({facts["klass"].value for facts in device_table().values()})
    parser = argparse.ArgumentParser(
        prog="emulate calibrate",
        description="Measure what work costs on this machine (about a minute, best with nothing else running) and write a "
        "device profile. A scenario uses it by 'devices: {my_pi: {file: my_pi.csv, idle: 2.7 W, busy: 5.7 W}}'.",
    )
    parser.add_argument("--out", default="calibrated.csv", help="file to write (default: %(default)s)")
    parser.add_argument("--class", dest="klass", default="gateway", choices=classes, help="class of the device")
    parser.add_argument("--app", metavar="DIR", help="Flower app whose imports a ClientApp process pays for")
    parser.add_argument("--threads", type=_positive, help="threads that PyTorch trains with (default: all cores)")
    options = parser.parse_args(arguments)
    path, console = Path(options.out), Console()
    imports = {"statement": _loading(Path(options.app))} if options.app else {}
    if not path.parent.is_dir():
        raise UsageError(
            f"--out: got {options.out!r}; there is no folder {str(path.parent)!r}; make it, or give another file"
        )
    facts = calibrate(
        path.stem, options.klass, threads=options.threads or os.cpu_count() or 1, **imports,
        on_stage=lambda text: console.print(f"{text} ...", style="dim"),
    )  # fmt: skip
    write_profile_file(path, facts)
    for fact in facts:
        print(f"{fact.quantity:36s} {fact.value:>14s} {fact.unit}")
    print(f"written to {path}")
    return 0


def _loading(app: Path) -> str:
    """Return Python that loads the ClientApp of ``app``; it is loaded here first, so that what is wrong with it is told once."""
    from emulator.flower.adapter import load_component

    if not (app / "pyproject.toml").is_file():
        raise UsageError(f"--app: got {str(app)!r}; there is no pyproject.toml in it; give the folder of a Flower app")
    load_component(app.resolve(), "clientapp")
    return (
        "from pathlib import Path; from emulator.flower.adapter import load_component; "
        f"load_component(Path({str(app.resolve())!r}), 'clientapp')"
    )


def _run_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="emulate",
        description="Run a scenario: real federated training over an emulated network.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("scenario", help="scenario file, for example scenarios/rural_clinic.yaml")
    parser.add_argument("--backend", default="des", help="des (virtual time, the default) or mininet (live)")
    parser.add_argument("--seed", type=int, help="replaces the scenario's seed")
    parser.add_argument("--run", help="name of the run folder (default: the next number)")
    parser.add_argument("--out", default="results", help="parent of run folders (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="the scenario's quick setting: less data, fewer rounds")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change one value; may be repeated"
    )
    parser.add_argument("--data-dir", metavar="DIR", help="where the app's data lies; short for --set data.dir=DIR")
    parser.add_argument("--check", action="store_true", help="check the scenario and stop")
    parser.add_argument("--show-config", action="store_true", help="print the resolved scenario and stop")
    parser.add_argument("--plan", action="store_true", help="print the plan as JSON and stop")
    livecommands.add_options(parser)
    _add_host_options(parser)
    return parser


def _add_host_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workers", type=_positive, help="processes for client training (default: all cores)")
    parser.add_argument("--no-report", action="store_true", help="leave out report.html and figures")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"got {text}; at least 1")
    return number


def _tell(command: Callable[[list[str], Callable[[Any], None]], int], arguments: list[str]) -> int:
    """Run a command that says what it has to say through a function."""
    console = Console(soft_wrap=True, highlight=False, markup=False)
    return command(arguments, console.print)


_COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "resume": _resume,
    "report": _report,
    "events": _events,
    "study": _study,
    "audit": _audit,
    "topology": _topology,
    "profiles": _profiles,
    "calibrate": _calibrate,
    **{name: partial(_tell, command) for name, command in livecommands.COMMANDS.items()},
}

__all__ = ["ScenarioError", "main"]

if __name__ == "__main__":
    main()
