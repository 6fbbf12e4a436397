"""Failures: faults drawn ahead of the run, as data, in order of time.

A failure model is ``(view, streams, *, ...) -> Iterator[Outage | PlacedFault | Hostility]``: a pure function of the network it
is shown (``View``) and of random streams it asks for by the name of what it draws for. Outages come in order of their
start; those that start at or after ``view.horizon_s`` are left out, and a longer horizon never changes an earlier one.
One that never ends, ends at ``math.inf``. A parameter called ``for_`` is written ``for`` in a scenario; one annotated
``pathlib.Path`` is a data file (``emulator.datafiles``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from emulator.hostility import Hostility
from emulator.models.failures.battery_solar import battery_solar
from emulator.models.failures.crash import crash
from emulator.models.failures.diurnal import diurnal
from emulator.models.failures.duty_cycle import duty_cycle
from emulator.models.failures.exponential import exponential
from emulator.models.failures.hostile import hostile
from emulator.models.failures.late_join import late_join
from emulator.models.failures.leave import leave
from emulator.models.failures.partition import partition
from emulator.models.failures.power_cuts import power_cuts
from emulator.models.failures.reboot import reboot
from emulator.models.failures.regional import regional
from emulator.models.failures.schedule import schedule
from emulator.models.failures.server_app_loss import server_app_loss
from emulator.models.failures.superlink import superlink
from emulator.models.failures.trace import trace
from emulator.models.failures.view import Reliability, View
from emulator.models.failures.weibull import weibull
from emulator.plan import Outage, PlacedFault

Fault = Outage | PlacedFault | Hostility

FAILURES: dict[str, Callable[..., Iterator[Fault]]] = {
    "battery_solar": battery_solar,
    "crash": crash,
    "diurnal": diurnal,
    "duty_cycle": duty_cycle,
    "exponential": exponential,
    "hostile": hostile,
    "late_join": late_join,
    "leave": leave,
    "partition": partition,
    "power_cuts": power_cuts,
    "reboot": reboot,
    "regional": regional,
    "schedule": schedule,
    "server_app_loss": server_app_loss,
    "superlink": superlink,
    "trace": trace,
    "weibull": weibull,
}

__all__ = [
    "FAILURES",
    "Fault",
    "Reliability",
    "View",
    "battery_solar",
    "crash",
    "diurnal",
    "duty_cycle",
    "exponential",
    "hostile",
    "late_join",
    "leave",
    "partition",
    "power_cuts",
    "reboot",
    "regional",
    "schedule",
    "server_app_loss",
    "superlink",
    "trace",
    "weibull",
]
