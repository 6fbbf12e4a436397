"""Reads the parameters of a failure model and collects what is wrong with them, so that all is told at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from emulator.models.failures.view import View
from emulator.topology.params import ParameterError, as_list, quantity

Names = str | list[str]


class Reader:
    """Collects faults; ``done`` raises them. A value that cannot be read stands as 1 until then."""

    def __init__(self) -> None:
        self.faults: list[tuple[str, str]] = []

    def value(
        self, key: str, text: object, dimension: str = "time", *, least: float | None = None, most: float | None = None
    ) -> float:
        """Return a quantity in base units; above 0 unless ``least`` says otherwise."""
        try:
            value = quantity(key, text, dimension)
        except ParameterError as error:
            self.faults.extend(error.faults)
            return 1.0
        bounds = "above 0" if least is None else f"{least:g} or more"
        if most is not None:
            bounds += f" and at most {most:g}"
        if (value <= 0 if least is None else value < least) or (most is not None and value > most):
            self.refuse(key, f"got {text!r}; want a {dimension} {bounds}")
            return 1.0
        return value

    def times(self, key: str, texts: str | Sequence[str]) -> list[float]:
        """Return one or several points in virtual time, sorted."""
        return sorted({self.value(key, text, least=0.0) for text in as_list(texts)})

    def names(self, find: Callable[[list[str], str], list[str]], key: str, patterns: Names | None) -> list[str]:
        """Return what ``find`` (a method of ``View``) makes of ``patterns``; nothing where there are none."""
        if not patterns:
            return []
        try:
            return find(as_list(patterns), key)
        except ParameterError as error:
            self.faults.extend(error.faults)
            return []

    def targets(self, view: View, *, nodes: Names | None, links: Names | None) -> list[str]:
        """Return the names of the nodes and links that are meant, sorted; at least one."""
        if not nodes and not links:
            self.refuse("", "names no target; give nodes: or links:")
        found = self.names(view.match_nodes, "nodes", nodes) + self.names(view.match_links, "links", links)
        return sorted(found)

    def refuse(self, key: str, message: str) -> None:
        """Note a fault."""
        self.faults.append((key, message))

    def done(self) -> None:
        """Raise what was found.

        Raises:
            ParameterError: Something was.
        """
        if self.faults:
            raise ParameterError(self.faults)
