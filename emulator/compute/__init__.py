"""Work to seconds: cost tables per device."""

from emulator.compute.costs import WORK_UNITS, fits_memory, resolve_device, seconds

__all__ = ["WORK_UNITS", "fits_memory", "resolve_device", "seconds"]
