# SPDX-License-Identifier: Apache-2.0
"""Compares the ledger of a run with the roots on a chain; exit code 5 if they differ.

Called as `python -m fedgen.anchor RUN http://HOST:PORT`.
"""

import json
import sys
from pathlib import Path

from fedgen.anchor.evm import FILE, Anchor, connect, differences
from fedgen.ledger.audit import FILE as LEDGER
from fedgen.ledger.audit import block_roots
from fedgen.ledger.replica import name_of


def main(arguments: list[str]) -> int:
    """Return the exit code."""
    if len(arguments) != 2:
        print("usage: python -m fedgen.anchor RUN ENDPOINT", file=sys.stderr)
        return 2
    kept = Path(arguments[0]) / "kept"
    data = (kept / LEDGER).read_bytes()
    address = json.loads((kept / FILE).read_text())["contract"]
    first, roots = block_roots(data)
    found = differences(Anchor(connect(arguments[1]), name_of(first), address).roots(), roots)
    print("\n".join(found) or f"{len(roots)} blocks, all as on the chain")
    return 5 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
