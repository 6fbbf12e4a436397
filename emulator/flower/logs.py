"""Where an app's words go during a run: into the run folder, not across the terminal."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO


@contextlib.contextmanager
def app_output_to(path: Path) -> Iterator[None]:
    """Send standard output, standard error and Flower's log of the current process to the end of ``path``."""
    flower = logging.getLogger("flwr")
    before = flower.handlers[:]
    with path.open("a", encoding="utf-8") as text:
        flower.handlers = [_handler(text)]
        try:
            with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
                yield
        finally:
            flower.handlers = before


def log_to_stderr() -> None:
    """Send Flower's log to standard error (in a worker, whose standard error is a file)."""
    logging.getLogger("flwr").handlers = [_handler(sys.stderr)]


def _handler(stream: TextIO | None) -> logging.Handler:
    handler: logging.Handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    return handler
