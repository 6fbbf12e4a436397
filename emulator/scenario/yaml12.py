"""YAML text -> plain data with the place of every key, by the scalar rules of YAML 1.2.

PyYAML follows YAML 1.1, in which ``off`` is false, ``12:30:00`` is 45000, ``1e-5`` is text and the last of two equal
keys wins. Here only its scanner, parser and composer are used. The data is built from the composed nodes, which know
their lines, so that duplicate keys, foreign tags and aliases that grow without bound are refused with a place.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any, Final

import yaml
from yaml.composer import Composer
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.resolver import BaseResolver
from yaml.scanner import Scanner

from emulator.errors import Fault
from emulator.scenario.tree import KeyPath, Place, dotted

_TAG: Final = "tag:yaml.org,2002:"
_SCALARS: Final[dict[str, re.Pattern[str]]] = {
    "null": re.compile(r"^(?:~|null|Null|NULL|)$"),
    "bool": re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"),
    "int": re.compile(r"^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$"),
    "float": re.compile(
        r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
    ),
}
_MOST_VALUES: Final = 100_000
_DEEPEST: Final = 50


class _Reader12(Reader, Scanner, Parser, Composer, BaseResolver):
    """PyYAML's stages up to the composed nodes, with the implicit types of YAML 1.2's core schema."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)
        BaseResolver.__init__(self)


class Writer12(yaml.SafeDumper):
    """Writes YAML that reads the same by the rules of 1.1 and of 1.2: text that looks like anything else is quoted."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write every value out, so that the file can be read without following anchors."""
        return True


for _name, _pattern in _SCALARS.items():
    for _first in ("", *"~nNtTfF-+.0123456789") if _name == "null" else tuple("tTfF-+.0123456789"):
        _Reader12.add_implicit_resolver(_TAG + _name, _pattern, [_first])
        Writer12.add_implicit_resolver(_TAG + _name, _pattern, [_first])


@dataclass
class Parsed:
    """Plain data, the place of each key path in it, what was wrong, and the paths whose values are lost by it."""

    data: Any = None
    places: dict[KeyPath, Place] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    refused: set[KeyPath] = field(default_factory=set)


def parse_yaml(text: str, file: str) -> Parsed:
    """Return the plain data of ``text``: mappings with text keys, lists, text, numbers, booleans, null.

    After a syntax error there is no data and one fault. Other faults leave out the value they are about.
    """
    parsed = Parsed()
    try:
        root = _Reader12(text).get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        parsed.faults.append(Fault(file, mark.line + 1 if mark else 0, "", _explain(error)))
        return parsed
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        parsed.faults.append(Fault(file, line, "", f"the character {chr(error.character)!r} is not allowed in YAML"))
        return parsed
    except RecursionError:
        parsed.faults.append(Fault(file, 0, "", "values are nested too deeply to be read"))
        return parsed
    if root is not None:
        _Builder(file, parsed).build_root(root)
    return parsed


def _explain(error: yaml.MarkedYAMLError) -> str:
    """Return PyYAML's complaint in words a scenario's author can act on."""
    problem = str(error.problem or error)
    if "'\\t'" in problem:
        return "a tab stands where YAML wants spaces; indent with spaces"
    if "expected a single document" in str(error.context):
        return "a second YAML document begins here ('---'); a scenario is one document"
    if "mapping values are not allowed" in problem:
        return "YAML syntax: a second ': ' in one value; quote the text, or check the indentation"
    context = f" {error.context}" if error.context else ""
    if error.context_mark and error.problem_mark and error.context_mark.line < error.problem_mark.line:
        context += f" begun in line {error.context_mark.line + 1}"
    return f"YAML syntax{context}: {problem}"


class _RefusedError(Exception):
    """A node that cannot be built; its fault is already noted."""


class _TooManyError(Exception):
    """Aliases of aliases have grown beyond any scenario."""


class _Builder:
    """Builds plain data from composed nodes and notes places and faults on the way."""

    def __init__(self, file: str, parsed: Parsed) -> None:
        self._file = file
        self._parsed = parsed
        self._count = 0
        self._open: list[Node] = []

    def build_root(self, root: Node) -> None:
        """Fill in the data of the whole document."""
        try:
            self._parsed.data = self._build(root, ())
        except _RefusedError:
            self._parsed.data = None
        except _TooManyError:
            message = f"holds more than {_MOST_VALUES} values; do aliases (*) repeat each other?"
            self._parsed.data, self._parsed.faults = None, [Fault(self._file, 0, "", message)]

    def _refuse(self, node: Node, path: KeyPath, message: str) -> _RefusedError:
        self._parsed.refused.add(path)
        self._parsed.faults.append(Fault(self._file, node.start_mark.line + 1, dotted(path), message))
        return _RefusedError()

    def _build(self, node: Node, path: KeyPath) -> Any:
        self._parsed.places.setdefault(path, (self._file, node.start_mark.line + 1))
        self._count += 1
        if self._count > _MOST_VALUES:
            raise _TooManyError
        if node in self._open:
            raise self._refuse(node, path, "the alias contains itself")
        if len(self._open) >= _DEEPEST:
            raise self._refuse(node, path, f"nested more than {_DEEPEST} deep")
        self._open.append(node)
        try:
            return self._build_known(node, path)
        finally:
            self._open.pop()

    def _build_known(self, node: Node, path: KeyPath) -> Any:
        name = node.tag.removeprefix(_TAG)
        if isinstance(node, MappingNode) and name == "map":
            return self._build_mapping(node, path)
        if isinstance(node, SequenceNode) and name == "seq":
            return self._build_list(node, path)
        if isinstance(node, ScalarNode) and (name == "str" or name in _SCALARS):
            return self._build_scalar(node, name, path)
        shown = node.tag if name == node.tag else f"!!{name}"
        raise self._refuse(node, path, f"got the tag {shown!r}; a scenario holds plain YAML without tags")

    def _build_list(self, node: SequenceNode, path: KeyPath) -> list[Any]:
        built = []
        for index, item in enumerate(node.value):
            try:
                built.append(self._build(item, (*path, index)))
            except _RefusedError:
                built.append(None)
        return built

    def _build_mapping(self, node: MappingNode, path: KeyPath) -> dict[str, Any]:
        built: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            try:
                key = self._key(key_node, path)
                line = key_node.start_mark.line + 1
                if key in lines:
                    message = f"written twice, first in line {lines[key]}; keep one"
                    self._parsed.faults.append(Fault(self._file, line, dotted((*path, key)), message))
                    continue
                lines[key] = line
                self._parsed.places[(*path, key)] = (self._file, line)
                built[key] = self._build(value_node, (*path, key))
            except _RefusedError:
                continue
        return built

    def _key(self, node: Node, path: KeyPath) -> str:
        if not isinstance(node, ScalarNode):
            raise self._refuse(node, path, "a key must be plain text, not a list or a mapping")
        if node.value == "<<" and not node.style:
            raise self._refuse(node, path, "merge keys (<<) are not read; repeat the keys, or use 'like:' for profiles")
        if not node.value:
            raise self._refuse(node, path, "a key is empty")
        return self._text(node, path)

    def _build_scalar(self, node: ScalarNode, name: str, path: KeyPath) -> str | int | float | bool | None:
        if name == "str":
            return self._text(node, path)
        if not _SCALARS[name].match(node.value):
            raise self._refuse(node, path, f"got {node.value!r}, which is not a YAML {name}")
        if name == "null":
            return None
        if name == "bool":
            return str(node.value).lower() == "true"
        try:
            return _integer(node.value) if name == "int" else _finite(node.value)
        except ValueError:
            raise self._refuse(node, path, f"got {node.value[:40]!r}; a number must be finite") from None

    def _text(self, node: ScalarNode, path: KeyPath) -> str:
        text = str(node.value)
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise self._refuse(node, path, "the text holds half of a surrogate pair, which is no character")
        return text


def _integer(text: str) -> int:
    base = {"0o": 8, "0x": 16}.get(text[:2], 10)
    return int(text[2:], base) if base != 10 else int(text)


def _finite(text: str) -> float:
    value = float(text)  # refuses .inf and .nan by itself
    if not math.isfinite(value):
        raise ValueError(text)
    return value
