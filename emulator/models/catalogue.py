"""The profile tables as ``emulate profiles`` shows them."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.table import Table as Shown

from emulator.errors import UsageError
from emulator.models.devices.hardware import device_table
from emulator.models.facts import Fact
from emulator.models.links.profile import link_table, resolve_link
from emulator.registry import nearest
from emulator.units import format_duration, format_rate


def profiles_table() -> list[Shown]:
    """Return one table of devices and one of links, a line per profile; ``*`` marks an estimate."""
    devices = _shown("Devices", "name", "class", "cores", "memory", "idle", "busy")
    for name, facts in device_table().items():
        keys = ("klass", "cores", "ram_mb", "power_idle", "power_active")
        devices.add_row(name, *(_short(facts.get(key)) for key in keys))
    links = _shown("Links", "name", "down", "up", "round trip", "loss", "USD/GB")
    for name in link_table():
        links.add_row(name, *_link_cells(name))
    links.caption = "* estimate; emulate profiles NAME shows the source of every figure"
    return [devices, links]


def _link_cells(name: str) -> list[str]:
    profile, _ = resolve_link(name, {})
    assumed = {attribute for attribute, fact in profile.facts if fact.is_assumed}
    cells = {
        "down_bps": format_rate(profile.down_bps),
        "up_bps": format_rate(profile.up_bps),
        "delay_s": format_duration(2 * profile.delay_s),
        "loss": f"{profile.loss:.2%}",
        "tariff_usd_per_gb": "-" if profile.tariff_usd_per_gb is None else f"{profile.tariff_usd_per_gb:g}",
    }
    return [text + ("*" if attribute in assumed else "") for attribute, text in cells.items()]


def _shown(title: str, *headings: str) -> Shown:
    shown = Shown(
        title=title,
        title_justify="left",
        box=SIMPLE_HEAD,
        caption_justify="left",
        padding=(0, 1),
        pad_edge=False,
        collapse_padding=True,
    )
    for heading in headings:
        shown.add_column(heading, no_wrap=True)
    return shown


def profile_table(name: str) -> Shown:
    """Return every figure of one profile with kind and source.

    Raises:
        UsageError: No such profile.
    """
    facts = device_table().get(name) or link_table().get(name)
    if facts is None:
        known = (*device_table(), *link_table())
        raise UsageError(f"no profile {name!r}{nearest(name, known)}; emulate profiles lists them all")
    shown = Shown(title=name, title_justify="left", box=SIMPLE_HEAD)
    for heading in ("quantity", "value", "kind", "source", "note"):
        shown.add_column(heading, overflow="fold")
    for fact in facts.values():
        value = fact.value if fact.unit in ("str", "bool") else f"{fact.value} {fact.unit}"
        shown.add_row(fact.quantity, value, fact.kind, fact.source, fact.note)
    return shown


def _short(fact: Fact | None) -> str:
    if fact is None:
        return "-"
    if fact.unit.startswith("MiB"):
        return f"{fact.number / 1024**3:.3g} GiB{'*' if fact.is_assumed else ''}"
    unit = "" if fact.unit in ("str", "count", "bool") else f" {fact.unit.split()[0]}"
    unit = unit.replace(" fraction", "")
    return f"{fact.value}{unit}{'*' if fact.is_assumed else ''}"
