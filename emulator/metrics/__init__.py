"""Tables from the event log and the plan."""

from emulator.metrics.summary import summarise, summary_panel
from emulator.metrics.tables import build_tables, write_tables

__all__ = ["build_tables", "summarise", "summary_panel", "write_tables"]
