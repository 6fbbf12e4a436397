"""What is shipped is executed: scenarios, and the commands and code blocks in the documents."""

import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STUDIES = sorted((ROOT / "scenarios" / "paper").glob("p1*.yaml"))
SCENARIOS = sorted(set((ROOT / "scenarios").rglob("*.yaml")) - set(STUDIES))
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda p: p.stem)
def test_scenarios_open_with_a_five_line_comment_and_plan_without_faults(path):
    from emulator.runner import plan_scenario

    head = path.read_text().splitlines()[:5]
    assert sum(line.startswith("#") for line in head) >= 3
    text = " ".join(head)
    assert all(word in text for word in ("Question", "Expectation", "Run time"))
    for quick in (False, True):
        scenario, plan = plan_scenario(path, quick=quick)
        assert plan.clients
        assert scenario.question


def commands(path: Path) -> list[str]:
    """Return the lines of the document's shell blocks that call emulate."""
    blocks = re.findall(r"```(?:sh|bash|console)\n(.*?)```", path.read_text(), re.DOTALL)
    lines = [line.strip().removeprefix("$ ") for block in blocks for line in block.splitlines()]
    return [line.split("#")[0].strip() for line in lines if "emulate " in line and line.split()[0].endswith("emulate")]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_commands_in_documents_parse(path):
    from emulator.cli import _COMMANDS, _run_parser

    for line in commands(path):
        words = shlex.split(line)[1:]
        if words[0] in _COMMANDS or words[0].isupper():
            continue
        options = _run_parser().parse_args(words)
        assert options.scenario.isupper() or (ROOT / options.scenario).exists(), line


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_links_between_documents_lead_somewhere(path):
    for target in re.findall(r"\]\(([\w./-]+)\)", path.read_text()):
        assert (path.parent / target).exists(), f"{path.name} names {target}"


def test_python_blocks_of_the_readme_run(tmp_path, monkeypatch):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert blocks
    monkeypatch.chdir(ROOT)
    for block in blocks:
        exec(compile(block.replace('out="results"', f"out={str(tmp_path)!r}"), "README.md", "exec"), {})
