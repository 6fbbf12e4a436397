"""One direction of imports, a small front door, small modules: read from the source, not from habit."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("emulator", "fedgen", "topologies")

# Each layer may import from those before it, and from itself.
LAYERS = [
    {
        "units",
        "errors",
        "rng",
        "registry",
        "network_settings",
        "plan",
        "events",
        "interrupts",
        "datafiles",
        "hostility",
    },
    {"scenario"},
    {"topology"},
    {"models"},
    {"compute"},
    {"planner"},
    {"flower"},
    {"backends", "invariants", "metrics", "report", "progress", "runfolder"},
    {"runner"},
    {"study"},
    {"comparison"},
    {"livecommands"},
    {"cli"},
]
HEAVY = {"mininet", "torch", "ray", "matplotlib"}


def modules() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def imports(path: Path) -> set[str]:
    """Return the dotted names a module imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def layer_of(part: str) -> int:
    return next(index for index, names in enumerate(LAYERS) if part in names)


def test_every_part_of_the_emulator_has_a_layer():
    parts = {
        path.relative_to(ROOT / "emulator").parts[0].removesuffix(".py") for path in (ROOT / "emulator").rglob("*.py")
    }
    assert parts - {"__init__"} == set().union(*LAYERS)


@pytest.mark.parametrize(
    "path",
    [p for p in modules() if p.parts[-2] != "emulator" or p.stem != "__init__"],
    ids=lambda p: str(p.relative_to(ROOT)),
)
def test_imports_lead_downwards(path):
    package = path.relative_to(ROOT).parts[0]
    names = imports(path)
    if package == "topologies":
        assert not {name for name in names if name.split(".")[0] in ("emulator", "fedgen")}
        return
    if package == "fedgen":
        assert not {name for name in names if name.split(".")[0] in ("emulator", "topologies")}
        return
    assert not {name for name in names if name.split(".")[0] == "fedgen"}, "the emulator knows Flower, not fedgen"
    own = layer_of(path.relative_to(ROOT / "emulator").parts[0].removesuffix(".py"))
    for name in names:
        parts = name.split(".")
        if parts[0] == "emulator" and len(parts) > 1 and parts[1] in set().union(*LAYERS):
            assert layer_of(parts[1]) <= own, f"{name} is in a later layer"


def test_metrics_and_report_read_events_and_no_backend():
    for path in [*(ROOT / "emulator" / "metrics").rglob("*.py"), *(ROOT / "emulator" / "report").rglob("*.py")]:
        assert not {name for name in imports(path) if name.startswith(("emulator.backends", "emulator.flower"))}, path


def test_only_the_command_line_prints_or_exits():
    for path in (ROOT / "emulator").rglob("*.py"):
        if path.name == "cli.py" or "__main__" in path.read_text():
            continue
        calls = {
            n.func.id
            for n in ast.walk(ast.parse(path.read_text()))
            if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
        }
        assert not calls & {"print", "exit", "quit"}, path


def test_no_global_random_and_no_pickle_in_the_emulator():
    for path in (ROOT / "emulator").rglob("*.py"):
        if path.name in ("worker.py", "session.py"):  # these seed the app's generators, on purpose
            continue
        text = path.read_text()
        assert "pickle" not in imports(path), path
        # a generator of one's own (random.Random(seed)) is no global state
        if "random" in imports(path):
            assert set(re.findall(r"\brandom\.([a-zA-Z]+)\(", text)) <= {"Random"}, path
        assert not {name for name in imports(path) if name.startswith("random.") and name != "random.Random"}, path


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_modules_stay_small(path):
    assert len(path.read_text().splitlines()) <= 400


def test_front_door():
    import emulator

    assert emulator.__all__ == [
        "EmulatorError", "Plan", "Result", "Scenario", "load_scenario", "plan_scenario", "resume", "run",
    ]  # fmt: skip
    for name in emulator.__all__:
        assert getattr(emulator, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = emulator.nothing


def test_check_needs_no_heavy_import():
    """``emulate --check`` works where torch, Mininet, Ray and plot libraries are missing."""
    program = (
        "import sys\n"
        f"for name in {sorted(HEAVY | {'pandas', 'flwr'})!r}:\n    sys.modules[name] = None\n"
        "from emulator.cli import main\n"
        "main(['scenarios/rural_clinic.yaml', '--check'])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "is sound: 10 clients" in done.stdout


def test_pins_are_exact_and_without_local_tags():
    lines = (ROOT / "constraints.txt").read_text().split()
    assert "torch==2.13.0" in lines
    assert all(re.fullmatch(r"[A-Za-z0-9_.\-]+==[0-9][A-Za-z0-9.]*", line) for line in lines)
