"""Devices: what the hardware of a node can do, from a table of sourced figures and a scenario's own profiles."""

from emulator.models.devices.hardware import Hardware, device_table, resolve_hardware

__all__ = ["Hardware", "device_table", "resolve_hardware"]
