"""The HTML report and the figures of a run."""

from emulator.report.figures import draw_topology, write_figures
from emulator.report.html import write_report

__all__ = ["draw_topology", "write_figures", "write_report"]
