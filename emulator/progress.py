"""What one sees while a run goes on: a live view on a terminal, plain lines elsewhere. Both only listen to events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from types import TracebackType
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from emulator.events import Event
from emulator.flower.clock import real_monotonic
from emulator.plan import Plan
from emulator.units import format_bytes, format_duration

_DOING: Final[Mapping[str, str]] = {"download": "downloading", "upload": "uploading", "train": "training"}
_DOWN: Final = "down: "
_SHOWN_NODES: Final = 16
_REFRESH_S: Final = 0.25


class RunView:
    """The state of a run as its events tell it.

    Args:
        plan: The plan being carried out.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.t_s = 0.0
        self.round = 0
        self.rounds_closed = 0
        self.doing = {node.name: "waiting" for node in plan.clients}
        self.links_down: set[str] = set()
        self.bytes_moved = 0
        self.metrics: dict[str, float] = {}
        self.began_s = real_monotonic()

    def see(self, event: Event) -> None:
        """Take in one event."""
        self.t_s = event.t_s
        client = event.peer if event.note == "download" else event.node
        match event.kind:
            case "round_opened":
                self.round = event.round or 0
            case "round_closed":
                self.rounds_closed += 1
            case "transfer_started":
                self._set(client, _DOING.get(event.note, event.note))
            case "transfer_finished":
                self.bytes_moved += event.size_bytes or 0
                self._set(client, "waiting")
            case "compute_started":
                self._set(event.node, _DOING.get(event.note, event.note))
            case "compute_finished" | "compute_lost" | "transfer_lost" | "node_up":
                self._set(event.node, "waiting")
            case "node_down":
                self._set(event.node, f"{_DOWN}{event.note}")
            case "link_changed":
                (self.links_down.discard if event.value else self.links_down.add)(event.link)
            case "metric" if not event.node:
                self.metrics[event.note] = event.value or 0.0

    def _set(self, node: str, doing: str) -> None:
        if node in self.doing:
            self.doing[node] = doing

    @property
    def clock(self) -> str:
        """Virtual time of day: ``day 1 18:04:10``."""
        total_s = self.plan.starts_at_s + self.t_s
        day, rest = divmod(int(total_s), 86400)
        return f"day {day + 1} {rest // 3600:02d}:{rest % 3600 // 60:02d}:{rest % 60:02d}"

    @property
    def eta(self) -> str:
        """Real time still to go, judged by the rounds closed so far."""
        rounds = self.plan.app.rounds
        if not rounds or not self.rounds_closed:
            return "..."
        elapsed_s = real_monotonic() - self.began_s
        return format_duration(elapsed_s / self.rounds_closed * max(0, rounds - self.rounds_closed))

    @property
    def up(self) -> int:
        """Clients that are powered."""
        return sum(not doing.startswith(_DOWN) for doing in self.doing.values())

    def quality(self) -> str:
        """Return the first few global metrics of the last evaluation."""
        shown = [name for name in self.metrics if not name.startswith("patient.")]
        preferred = [name for name in shown if name.endswith("auroc")] or shown
        return "  ".join(f"{name} {self.metrics[name]:.3f}" for name in preferred[:3])


class LiveProgress:
    """A view that redraws itself, for terminals."""

    def __init__(self, view: RunView, console: Console) -> None:
        self._view = view
        self._live = Live(console=console, auto_refresh=False, transient=True, get_renderable=self._render)
        self._drawn_s = 0.0

    def __enter__(self) -> LiveProgress:
        self._live.start(refresh=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def see(self, event: Event) -> None:
        """Take in one event and redraw now and then."""
        self._view.see(event)
        if event.kind == "notice":
            self._live.console.print(Text(f"! {event.note}", style="bold yellow"))
        if event.kind == "round_closed":
            self._live.console.print(_round_line(self._view, event))
        now_s = real_monotonic()
        if now_s - self._drawn_s >= _REFRESH_S:
            self._drawn_s = now_s
            self._live.refresh()

    def _render(self) -> RenderableType:
        view = self._view
        rounds = view.plan.app.rounds or "?"
        head = Text.assemble(
            (view.clock, "bold cyan"),
            f"   round {view.round} of {rounds}   up {view.up} of {len(view.doing)}",
            f"   moved {format_bytes(view.bytes_moved)}   about {view.eta} to go",
        )
        table = Table.grid(padding=(0, 2))
        for name, doing in list(view.doing.items())[:_SHOWN_NODES]:
            style = "red" if doing.startswith(_DOWN) else "dim" if doing == "waiting" else "green"
            table.add_row(Text(name), Text(doing, style=style))
        hidden = len(view.doing) - _SHOWN_NODES
        parts: list[RenderableType] = [head, table]
        if hidden > 0:
            counts = Counter(doing.split(":")[0] for doing in list(view.doing.values())[_SHOWN_NODES:])
            parts.append(Text(f"and {hidden} more: " + ", ".join(f"{n} {doing}" for doing, n in counts.items())))
        if view.links_down:
            parts.append(Text("links down: " + ", ".join(sorted(view.links_down)), style="red"))
        return Group(*parts)


class PlainProgress:
    """One line per round and per notice, for pipes and logs."""

    def __init__(self, view: RunView, console: Console) -> None:
        self._view = view
        self._console = console

    def __enter__(self) -> PlainProgress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def see(self, event: Event) -> None:
        """Take in one event."""
        self._view.see(event)
        if event.kind == "notice":
            self._console.print(f"! {event.note}", highlight=False, markup=False)
        elif event.kind == "round_closed":
            line = _round_line(self._view, event).append(f"  about {self._view.eta} to go")
            self._console.print(line, highlight=False, soft_wrap=True)


def _round_line(view: RunView, event: Event) -> Text:
    rounds = view.plan.app.rounds or "?"
    return Text(f"round {event.round} of {rounds}  {view.clock}  {int(event.value or 0)} replies  {view.quality()}")
