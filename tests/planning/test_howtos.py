"""The how-tos are run as they stand: files are written, code executed, commands given."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from planning_builder import REPOSITORY

from emulator import cli
from emulator.models.failures import FAILURES
from emulator.models.links import LINKS

PAGES = ("add_a_topology", "add_a_link_model", "add_a_failure_model")
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# file: (\S+)\n")


def page(name: str) -> str:
    return (REPOSITORY / "docs" / f"{name}.md").read_text(encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project folder with an app, from which the page's own modules can be imported and are forgotten afterwards."""
    shutil.copy(REPOSITORY / "tests" / "bad_scenarios" / "app" / "pyproject.toml", tmp_path / "pyproject.toml")
    (tmp_path / "scenarios").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("my_"):
            del sys.modules[name]


@pytest.mark.parametrize("name", PAGES)
def test_a_howto_works_as_it_is_written(name: str, folder: Path) -> None:
    blocks = _BLOCK.findall(page(name))
    for kind, text in blocks:
        written = _FILE.match(text)
        if written:
            below = folder if kind == "python" else folder / "scenarios"
            (below / written.group(1)).write_text(text[written.end() :], encoding="utf-8")
    ran = 0
    for kind, text in blocks:
        if kind == "console":
            ran += sum(emulate(line) for line in text.splitlines())
        elif not _FILE.match(text):
            assert kind == "python", f"a block of {kind} that nothing runs"
            exec(compile(text, f"{name}.md", "exec"), {"__name__": name})
            ran += 1
    assert ran >= 2


def emulate(line: str) -> bool:
    """Give the command of one line of a console block."""
    prompt, variable, program, *arguments = shlex.split(line)
    assert (prompt, variable, program) == ("$", "PYTHONPATH=.", "emulate")
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 0, line
    return True


def test_faults_of_an_own_plug_in_point_to_the_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for kind, text in _BLOCK.findall(page("add_a_link_model")):
        if kind == "python" and "my_links.py" in text:
            (folder / "my_links.py").write_text(text, encoding="utf-8")
    case = "app: {path: ..}\ntopology: {kind: star, sites: 1, backhaul: b}\n"
    case += 'links:\n  b:\n    like: lte_errant\n    model:\n      kind: "my_links:rush_hour"\n      for: 30 h\n'
    (folder / "scenarios" / "case.yaml").write_text(case, encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        cli.main([os.path.join("scenarios", "case.yaml"), "--check"])
    assert ended.value.code == 2
    assert "case.yaml:8: links.b.model.for: got '30 h'" in capsys.readouterr().err


def test_the_pages_name_every_model_that_ships() -> None:
    assert all(f"`{name}`" in page("add_a_failure_model") for name in FAILURES)
    assert all(f"`{name}`" in page("add_a_link_model") for name in LINKS)
