"""The commands and options about live runs. They say what they have to say through the function they are given."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from emulator.errors import UsageError
from emulator.units import parse_quantity

if TYPE_CHECKING:
    from emulator.backends.live.backend import LiveOptions

Say = Callable[[Any], None]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``emulate SCENARIO --backend mininet``."""
    live = parser.add_argument_group("with --backend mininet")
    live.add_argument("--shaper", choices=("auto", "userspace", "netem"), help="what shapes the links (default: auto)")
    live.add_argument(
        "--from", dest="start_from", type=_duration, metavar="TIME", help="begin there in the plan: '2 h'"
    )
    live.add_argument("--for", dest="run_for", type=_duration, metavar="TIME", help="run no longer than this: '8 min'")
    live.add_argument("--pcap", action="store_true", help="keep a packet capture of every link")
    live.add_argument(
        "--sandbox", choices=("namespaces", "uml"), help="uml: inside User Mode Linux, without privileges"
    )
    live.add_argument(
        "--cpu",
        choices=("hold", "quota"),
        help="how devices are slow: replies held back, or a share of a core (default: hold)",
    )
    live.add_argument("--allow-invalid", action="store_true", help="exit 0 even if the run's verdict is INVALID")


def live_options(options: argparse.Namespace) -> LiveOptions | None:
    """Return what the command line says about a live run; None in virtual time.

    Raises:
        UsageError: There are such options, and the run is in virtual time.
    """
    given = [
        name
        for name in ("shaper", "start_from", "run_for", "pcap", "sandbox", "cpu", "allow_invalid")
        if getattr(options, name)
    ]
    if options.backend != "mininet":
        if given:
            raise UsageError(
                "--shaper, --from, --for, --pcap, --sandbox, --cpu and --allow-invalid are for --backend mininet"
            )
        return None
    from emulator.backends.live.backend import LiveOptions

    return LiveOptions(
        options.shaper or "auto",
        options.start_from or 0.0,
        options.run_for,
        options.pcap,
        options.sandbox or "namespaces",
        options.cpu or "hold",
        options.allow_invalid,
    )


def doctor(arguments: list[str], say: Say) -> int:
    """Say what this machine can do for a live run."""
    from emulator.backends.live.doctor import examine

    parser = argparse.ArgumentParser(prog="emulate doctor", description="Say what this machine can do for a live run.")
    parser.add_argument("--out", default="results", help="where run folders would go (default: %(default)s)")
    checks = examine(Path(parser.parse_args(arguments).out).resolve())
    for check in checks:
        state = "yes" if check.is_there else "NO " if check.is_needed else "no "
        say(f"{state}  {check.what}" + ("" if check.is_there else f": {check.advice}"))
    is_able = all(check.is_there for check in checks if check.is_needed)
    say("live runs are possible here" if is_able else "live runs are not possible here")
    return 0 if is_able else 3


def cleanup(arguments: list[str], say: Say) -> int:
    """End what a live run has left behind."""
    from emulator.backends.live.backend import end_recorded_process, remove_recorded_groups
    from emulator.runfolder import RunFolder

    parser = argparse.ArgumentParser(prog="emulate cleanup", description="End what a live run has left behind.")
    parser.add_argument("run", help="run folder, results/<scenario>/<run>")
    folder = RunFolder(Path(parser.parse_args(arguments).run))
    folder.read_status()
    was_there = end_recorded_process(folder.path / "live")
    remove_recorded_groups(folder.path / "live")
    say("ended the run's sandbox and all in it" if was_there else "nothing of this run is left on this machine")
    return 0


def compare(arguments: list[str], say: Say) -> int:
    """Say how far a live and a virtual run are apart; 5 where that is too far."""
    from emulator.comparison import compare_runs, run_both
    from emulator.metrics.compare import Tolerance, beyond
    from emulator.metrics.panel import differences_table

    parser = argparse.ArgumentParser(
        prog="emulate compare", description="Say how far a live and a virtual run are apart."
    )
    parser.add_argument("what", nargs="+", help="a scenario, run both ways, or two run folders, the live one first")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change one value")
    parser.add_argument("--out", default="results", help="parent of run folders (default: %(default)s)")
    options = parser.parse_args(arguments)
    if len(options.what) > 2:
        raise UsageError(f"emulate compare: got {len(options.what)} names; allowed: one scenario, or two run folders")
    first, second = (
        (Path(options.what[0]), Path(options.what[1]))
        if len(options.what) == 2
        else run_both(Path(options.what[0]), options.set, Path(options.out), say)
    )
    differences = compare_runs(first, second)
    say(differences_table(differences))
    found = beyond(differences, Tolerance())
    for text in found:
        say(text)
    return 5 if found else 0


def _duration(text: str) -> float:
    try:
        return parse_quantity(text, "time")
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


COMMANDS: Final[dict[str, Callable[[list[str], Say], int]]] = {"compare": compare, "doctor": doctor, "cleanup": cleanup}
