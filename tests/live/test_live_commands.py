"""What the command line says about live runs: one clear message, and the exit code that belongs to it."""

import subprocess
from pathlib import Path

import pytest

from emulator import cli
from emulator.backends.live import doctor
from emulator.backends.live.backend import LiveOptions
from emulator.backends.live.uml import uml_command
from emulator.errors import BackendUnavailable
from emulator.runner import run

SCENARIOS = Path(__file__).parents[1] / "scenarios"
PAIR = SCENARIOS / "live_pair.yaml"


def call(capsys, *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        cli.main(list(arguments))
    said = capsys.readouterr()
    return ended.value.code, said.out, said.err


def without(monkeypatch, *names: str) -> None:
    found = doctor.shutil.which
    monkeypatch.setattr(doctor.shutil, "which", lambda name, **more: None if name in names else found(name, **more))


def test_a_missing_program_is_named_with_the_package_that_has_it(monkeypatch, capsys, tmp_path):
    without(monkeypatch, "mnexec")
    code, _, error = call(capsys, str(PAIR), "--backend", "mininet", "--out", str(tmp_path))
    assert code == 3
    assert "no command mnexec (apt install mininet)" in error
    assert not list(tmp_path.iterdir()), "refused before a run folder is made"
    code, told, _ = call(capsys, "doctor")
    assert code == 3
    assert "NO   command mnexec: apt install mininet" in told
    assert "live runs are not possible here" in told


def test_no_right_to_make_namespaces_and_a_full_disk_are_told(monkeypatch, capsys, tmp_path, live_machine):
    monkeypatch.setattr(doctor, "_works", lambda _command: False)
    code, _, error = call(capsys, str(PAIR), "--backend", "mininet", "--out", str(tmp_path))
    assert code == 3
    assert "right to make network namespaces" in error
    monkeypatch.undo()
    monkeypatch.setattr(doctor, "LEAST_DISK_BYTES", 1 << 60)
    code, _, error = call(capsys, str(PAIR), "--backend", "mininet", "--out", str(tmp_path))
    assert code == 3
    assert "make room or give another --out" in error


def test_live_options_belong_to_the_live_backend(capsys):
    code, _, error = call(capsys, str(PAIR), "--shaper", "userspace")
    assert code == 2
    assert "--backend mininet" in error
    code, _, error = call(capsys, str(PAIR), "--backend", "mininet", "--for", "20")
    assert code == 2
    assert "--for" in error


@pytest.mark.parametrize(
    ("scenario", "overrides", "options", "message"),
    [
        (PAIR, ["links.line.half_duplex=true"], LiveOptions(shaper="netem"), "half duplex"),
        (SCENARIOS / "country_timing.yaml", [], LiveOptions(), "no app to run live"),
        (PAIR, ["failures=[{kind: superlink, at: 5 s, for: 5 s}]"], LiveOptions(), "restarts the SuperLink"),
    ],
)
def test_what_cannot_be_honoured_is_refused_before_the_run(
    scenario, overrides, options, message, tmp_path, live_machine
):
    with pytest.raises(BackendUnavailable, match=message):
        run(scenario, backend="mininet", overrides=overrides, live=options, out=tmp_path, with_report=False)


def test_the_guests_first_program_is_sound_shell_and_quotes_what_it_is_given(tmp_path):
    command = uml_command(["echo", "it's; here"], tmp_path / "first.sh", {"PATH": "/a b:/c", "SECRET": "x"})
    script = (tmp_path / "first.sh").read_text()
    assert command[0] == "linux.uml"
    assert f"init={tmp_path / 'first.sh'}" in command
    assert "export PATH='/a b:/c'" in script
    assert "SECRET" not in script
    assert subprocess.run(["sh", "-n", tmp_path / "first.sh"], check=False).returncode == 0
    line = next(text for text in script.splitlines() if text.startswith("echo "))
    assert subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True).stdout == "it's; here\n"
