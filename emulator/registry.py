"""Plug-ins by name: a dict a package fills, entry points, or ``package.module:object``."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Any, cast

Plugin = Callable[..., Any]


def nearest(name: str, allowed: list[str] | tuple[str, ...]) -> str:
    """Return ``" (did you mean 'x'?)"`` for the closest allowed name, or an empty string."""
    close = difflib.get_close_matches(name, allowed, n=1, cutoff=0.6)
    return f" (did you mean {close[0]!r}?)" if close else ""


def find_plugin(name: str, builtin: Mapping[str, Plugin], *, group: str) -> Plugin:
    """Return the plug-in called ``name``.

    Looks in ``builtin``, then among the installed entry points of ``group``, then takes ``pkg.mod:obj`` literally.

    Raises:
        ValueError: Nothing of that name; the message lists what there is and the nearest name.
    """
    if name in builtin:
        return builtin[name]
    if ":" in name:
        return _load_reference(name)
    installed = {point.name: point for point in entry_points(group=group)}
    if name in installed:
        return cast(Plugin, installed[name].load())
    known = sorted({*builtin, *installed})
    raise ValueError(f"got {name!r}; allowed: {', '.join(known)}, or 'package.module:function'{nearest(name, known)}")


def _load_reference(reference: str) -> Plugin:
    module_name, _, attribute = reference.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise ValueError(f"got {reference!r}; module {module_name!r} cannot be imported: {error}") from error
    if not hasattr(module, attribute):
        raise ValueError(f"got {reference!r}; module {module_name!r} has no {attribute!r}")
    return cast(Plugin, getattr(module, attribute))
