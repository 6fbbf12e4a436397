"""A scenario file -> its opening question and a ``Tree`` of plain data with places."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from emulator.errors import Fault
from emulator.registry import nearest
from emulator.scenario.tree import Tree
from emulator.scenario.yaml12 import parse_yaml

_LARGEST_BYTES = 1 << 20


@dataclass
class Loaded:
    """The opening comment, the tree (None where the file cannot be read as a mapping), and what was wrong."""

    question: str = ""
    tree: Tree | None = None
    faults: list[Fault] = field(default_factory=list)


def load(path: Path) -> Loaded:
    """Read and parse the scenario at ``path``."""
    text = _read(path)
    if isinstance(text, Fault):
        return Loaded(faults=[text])
    parsed = parse_yaml(text, str(path))
    loaded = Loaded(opening_comment(text), faults=parsed.faults)
    if isinstance(parsed.data, dict):
        loaded.tree = Tree(parsed.data, parsed.places, refused=parsed.refused)
        _expand_short_forms(loaded.tree)
    elif not parsed.faults:
        loaded.faults.append(_not_a_mapping(path, parsed.data, parsed.places.get((), (str(path), 0))[1]))
    return loaded


def _expand_short_forms(tree: Tree) -> None:
    """Read ``app: PATH`` as ``app: {path: PATH}`` and ``learning: KIND`` as ``learning: {kind: KIND}``."""
    for block, key in (("app", "path"), ("learning", "kind")):
        value = tree.data.get(block)
        if isinstance(value, str):
            place = tree.place((block,))
            tree.put((block,), {key: value}, place)
            tree.places[block, key] = place


def opening_comment(text: str) -> str:
    """Return the comment lines before the first other line, joined by single spaces."""
    words: list[str] = []
    for line in text.splitlines():
        stripped = line.strip()
        if stripped and not stripped.startswith("#"):
            break
        words += stripped.lstrip("#").split()
    return " ".join(words)


def _read(path: Path) -> str | Fault:
    """Return the text of the file, or why it cannot be had."""
    file = str(path)
    try:
        if path.is_dir():
            return Fault(file, 0, "", "is a folder; name a scenario file (*.yaml)")
        raw = path.read_bytes()
    except FileNotFoundError:
        beside = [str(each) for each in sorted(path.parent.glob("*.y*ml"))]
        return Fault(file, 0, "", f"there is no such file{nearest(str(path), beside)}")
    except (OSError, ValueError) as error:
        return Fault(file, 0, "", f"cannot be read: {getattr(error, 'strerror', None) or error}")
    if len(raw) > _LARGEST_BYTES:
        return Fault(file, 0, "", f"is larger than {_LARGEST_BYTES} bytes, which no scenario is")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        return Fault(file, line, "", f"is not UTF-8 text (byte 0x{raw[error.start]:02x}); save it as UTF-8")


def _not_a_mapping(path: Path, data: object, line: int) -> Fault:
    if data is None:
        return Fault(str(path), 0, "", "is empty; a scenario needs at least 'app:' and 'topology:'")
    what = "a list" if isinstance(data, list) else f"the single value {data!r}"
    return Fault(str(path), line, "", f"got {what} at the top; write a mapping with 'app:', 'topology:' ...")
