"""A scenario as plain data with places, and how dotted keys such as ``failures[0].for`` lead into it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final

from emulator.errors import Fault

KeyPath = tuple[str | int, ...]
Place = tuple[str, int]

_INDICES: Final = re.compile(r"^(.+?)((?:\[\d+\])+)$")


def dotted(path: KeyPath) -> str:
    """Return ``("failures", 2, "mtbf")`` as ``failures[2].mtbf``."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


@dataclass(frozen=True)
class Setting:
    """One value of the Flower run config: what was written, where, and the key as it was written there."""

    value: Any
    place: Place
    key: str


@dataclass
class Tree:
    """A scenario on its way from text to ``Scenario``.

    Attributes:
        data: The top-level mapping, without what has moved to ``config``.
        places: File and line of every key path in ``data``; the empty path is the file itself.
        config: Flat Flower run config as the scenario sets it.
        refused: Key paths whose values could not be read at all, which was told already.
    """

    data: dict[str, Any]
    places: dict[KeyPath, Place]
    config: dict[str, Setting] = field(default_factory=dict)
    refused: set[KeyPath] = field(default_factory=set)

    def place(self, path: KeyPath) -> Place:
        """Return where ``path`` stands, or the nearest key above it that stands somewhere."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, ("", 0))

    def fault(self, path: KeyPath, message: str) -> Fault:
        """Return a fault at ``path``."""
        file, line = self.place(path)
        return Fault(file, line, dotted(path), message)

    def put(self, path: KeyPath, value: Any, place: Place) -> None:
        """Set ``path`` to ``value``; mappings on the way are created, lists on the way must exist.

        The place of the value and of everything in it becomes ``place``.
        """
        node: Any = self.data
        for depth, step in enumerate(path[:-1], start=1):
            if isinstance(node, dict) and step not in node:
                node[step] = {}
                self.places.setdefault(path[:depth], place)
            node = node[step]
        node[path[-1]] = value
        for old in [known for known in self.places if known[: len(path)] == path]:
            del self.places[old]
        self.places[path] = place

    def take(self, path: KeyPath) -> Any:
        """Remove the value at ``path`` and return it, or None where there is none; its places stay known."""
        node: Any = self.data
        for step in path[:-1]:
            node = node.get(step) if isinstance(node, dict) else None
        return node.pop(path[-1], None) if isinstance(node, dict) else None


def locate(data: dict[str, Any], key: str) -> KeyPath:
    """Return the path of the dotted ``key`` in ``data``, which may lead to keys that are not there yet.

    Keys that themselves hold dots or brackets (``overrides.clinic.a/*``) are recognised where they exist: the longest
    existing key wins.

    Raises:
        ValueError: The key leads nowhere; says why.
    """
    words = key.split(".")
    if not all(words):
        raise ValueError("the dotted key has an empty part")
    path: KeyPath = ()
    node: Any = data
    while words:
        if not isinstance(node, dict):
            raise ValueError(f"{dotted(path)!r} {_what_it_is(node)}, so {words[0]!r} cannot be set in it")
        count = next((n for n in range(len(words), 0, -1) if ".".join(words[:n]) in node), 0)
        name, indices = (".".join(words[:count]), []) if count else _split_indices(words[0])
        words = words[count or 1 :]
        path, node = (*path, name), node.get(name, {})
        for index in indices:
            if not isinstance(node, list):
                what = _what_it_is(node) if node != {} else "is not there"
                raise ValueError(f"{dotted(path)!r} {what}, so [{index}] cannot be set in it")
            if index >= len(node):
                raise ValueError(f"{dotted(path)!r} has {len(node)} entries, counted from [0]; there is no [{index}]")
            path, node = (*path, index), node[index]
    return path


def _split_indices(word: str) -> tuple[str, list[int]]:
    """``failures[0]`` -> ``("failures", [0])``."""
    match = _INDICES.match(word)
    if match is None:
        return word, []
    return match.group(1), [int(number) for number in re.findall(r"\d+", match.group(2))]


def _what_it_is(value: Any) -> str:
    if isinstance(value, list):
        return "is a list (count its entries: [0], [1] ...)"
    return "is a mapping" if isinstance(value, dict) else "is a single value"
