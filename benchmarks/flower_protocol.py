"""What Flower's SuperNode and SuperLink say to each other: requests, bytes, connections and intervals, recorded on loopback.

Runs tests/apps/arrays_app under ``flwr run`` with a recording TCP proxy before the SuperLink, four times: plain HTTP; TLS with a
certificate made for the occasion; plain HTTP with a long delay, which shows the round trips; and at a limited rate, which shows
that the ClientApp starts while objects are still on their way. What is seen here is in emulator/flower/wire.py and protocol.py.

Usage: python benchmarks/flower_protocol.py [--fixture tests/deployment/recorded_session.json] [--only plain tls far slow]
Takes about eight minutes, and needs nothing but Flower's own commands. The last line is one JSON object, the fixture's content.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests" / "deployment")]

from certificates import make_certificates  # noqa: E402
from loopback import Deployment  # noqa: E402
from recorded import Session, summarise_far, summarise_plain, summarise_slow, summarise_tls  # noqa: E402
from recording import Recorder, until  # noqa: E402

APP = ROOT / "tests" / "apps" / "arrays_app"
PLAIN_FORMS = "1x1000 4x1000 20x2000 3x1500000"
TLS_FORMS = "1x1000 4x1000 20x2000"
FAR_FORMS = "4x1000 20x2000"
FAR_DELAY_S = 0.2
SLOW_FORMS = "1x1500000"
SLOW_BPS = 4e6
COMPUTE_S = 7.0
"""Longer than the 5 s after which an idle connection is closed, as training usually is."""
LIMIT_S = 400.0


@contextmanager
def watch_log(deployment: Deployment, text: str) -> Iterator[list[float]]:
    """Note when each further line with ``text`` turns up in the first SuperNode's log, to 50 ms."""
    seen: list[float] = []
    is_over = threading.Event()

    def look() -> None:
        while not is_over.wait(0.05):
            count = deployment.log("supernode-0").count(text)
            seen.extend([time.monotonic()] * (count - len(seen)))

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield seen
    finally:
        is_over.set()
        watcher.join()


def record(
    forms: str,
    *,
    idle_s: float,
    is_tls: bool = False,
    rate_bps: float | None = None,
    delay_s: float = 0.0,
    compute_s: float = COMPUTE_S,
) -> Session:
    """Run the app between two idle stretches of a SuperNode and return what passed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        certificates, chain_bytes = make_certificates(folder) if is_tls else (None, 0)
        deployment = Deployment(folder, certificates)
        with (
            Recorder(deployment.port, rate_bps=rate_bps, delay_s=delay_s) as recorder,
            deployment.start(1, reach=lambda _index, _port: recorder.port),
            watch_log(deployment, "Start `flwr-clientapp` process") as starts,
        ):
            config = {"forms": forms, "compute-s": compute_s}
            status, output = deployment.run(APP, config, limit_s=LIMIT_S)
            if status != "finished:completed":
                raise RuntimeError(f"the run ended as {status}:\n{output}")
            time.sleep(idle_s)
            ended_s = time.monotonic()
            return Session(until(recorder.connections, ended_s), forms, ended_s, list(starts), chain_bytes)


SESSIONS: dict[str, tuple[Callable[[], Session], Callable[[Session], dict[str, Any]]]] = {
    "plain": (lambda: record(PLAIN_FORMS, idle_s=240.0), summarise_plain),
    "tls": (lambda: record(TLS_FORMS, idle_s=13.0, is_tls=True), summarise_tls),
    "far": (lambda: record(FAR_FORMS, idle_s=0.0, delay_s=FAR_DELAY_S), summarise_far),
    "slow": (lambda: record(SLOW_FORMS, idle_s=0.0, rate_bps=SLOW_BPS, compute_s=0.0), summarise_slow),
}


def show(summary: dict[str, Any]) -> None:
    """Print the parts of the fixture as tables."""
    for name, body in summary.items():
        if not isinstance(body, dict):
            continue
        print(f"\n{name}")
        for part, value in body.items():
            if isinstance(value, list) and value and isinstance(value[0], dict):
                print(f"  {part}: {' | '.join(value[0])}")
                for row in value:
                    print("    " + " | ".join(str(item) for item in row.values()))
            elif isinstance(value, dict) and value and isinstance(next(iter(value.values())), dict):
                for key, row in value.items():
                    print(f"  {part} {key:26}" + "  ".join(f"{k} {v}" for k, v in row.items()))
            else:
                print(f"  {part}: {value}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fixture", type=Path, help="also write the JSON object here")
    parser.add_argument("--only", nargs="+", choices=list(SESSIONS), default=list(SESSIONS))
    options = parser.parse_args()
    summary: dict[str, Any] = {
        "flwr": version("flwr"),
        "httpx": version("httpx"),
        "uvicorn": version("uvicorn"),
        "conditions": "one SuperNode and the SuperLink on 127.0.0.1, a recording proxy between them",
    }
    for name in options.only:
        begin, summarise = SESSIONS[name]
        summary[name] = summarise(begin())
    print(f"flwr {summary['flwr']}, httpx {summary['httpx']}, uvicorn {summary['uvicorn']}; {summary['conditions']}")
    show(summary)
    if options.fixture:
        options.fixture.write_text(json.dumps(summary, indent=1) + "\n")
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
