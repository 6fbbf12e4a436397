"""The few system calls that Python has no function for: TUN devices in other namespaces, a timer that epoll can wait for."""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_TUNSETIFF: Final = 0x400454CA
_IFF_TUN: Final = 0x0001
_IFF_NO_PI: Final = 0x1000
_CLONE_NEWNET: Final = 0x40000000
_TFD_TIMER_ABSTIME: Final = 1
_CLOCK_MONOTONIC: Final = 1

_libc = ctypes.CDLL(None, use_errno=True)


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Timer(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


def enter_network_of(process: int) -> None:
    """Move this thread into the network namespace of a process; sockets and devices opened before stay where they are.

    Raises:
        OSError: There is no such process, or it is not ours to join.
    """
    with Path(f"/proc/{process}/ns/net").open("rb") as namespace:
        _check(_libc.setns(namespace.fileno(), _CLONE_NEWNET))


@contextmanager
def network_of(process: int) -> Iterator[None]:
    """Be in the network namespace of a process for the length of the block; sockets made there stay there."""
    with Path("/proc/thread-self/ns/net").open("rb") as home:
        enter_network_of(process)
        try:
            yield
        finally:
            _check(_libc.setns(home.fileno(), _CLONE_NEWNET))


def attach_tun(interface: str) -> int:
    """Return a non-blocking descriptor of the TUN device ``interface`` of the present namespace, making it where it is not there.

    Each read gives one IP packet the kernel sends, each write hands it one.
    """
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", interface.encode(), _IFF_TUN | _IFF_NO_PI))
    return descriptor


def make_timer() -> int:
    """Return a timer's descriptor, readable once its time is over; select and epoll alone round up to milliseconds."""
    return _check(_libc.timerfd_create(_CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC))


def set_timer(timer: int, at_s: float) -> None:
    """Let the timer go off at ``at_s`` of ``time.monotonic``, now where that is over."""
    seconds, nanoseconds = divmod(max(1, int(at_s * 1e9)), 10**9)
    value = _Timer(_Timespec(0, 0), _Timespec(seconds, nanoseconds))
    _check(_libc.timerfd_settime(timer, _TFD_TIMER_ABSTIME, ctypes.byref(value), None))


def run_in_front(priority: int = 40) -> bool:
    """Let this process run before all ordinary ones, where that is allowed; returns whether it is."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(priority))
    except (PermissionError, AttributeError):
        return False
    return True


def _check(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def die_with_parent() -> None:
    """Let this process be killed when the one that started it ends, however it ends; for ``preexec_fn``."""
    _libc.prctl(1, 9, 0, 0, 0)  # PR_SET_PDEATHSIG, SIGKILL
