"""Makes fresh packet-level reference cases with ns-3, in the format that ``benchmarks/transfers.py`` reads.

A folder of the reference holds a program for ns-3 (``tree.cc``: transfers in a tree of links) and the generator of its cases
(``generate.py``: the published ranges; only the seed makes one set differ from another). This program compiles the one, lets
the other draw and run cases of a seed, and leaves them in a file:

    python benchmarks/fresh_transfers.py --ns3 FOLDER --seed 7 --cases 60 --out fresh.json
    python benchmarks/transfers.py --reference fresh.json --seeds 25

Needs g++ and ns-3 with its headers (Debian: libns3-dev). Two to four seconds a case on two cores. The last line is
one JSON object.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LIBRARIES = ("core", "network", "internet", "point-to-point", "applications", "traffic-control", "stats", "bridge")


def compile_tree(source: Path, folder: Path) -> Path:
    """Return the compiled program.

    Raises:
        SystemExit: There is no compiler, no ns-3, or no source.
    """
    if shutil.which("g++") is None:
        raise SystemExit("no g++ found; install a C++ compiler (Debian: apt install g++ libns3-dev)")
    if not source.is_file():
        raise SystemExit(f"--ns3: got {source.parent}; want the folder that holds tree.cc and generate.py")
    binary = folder / "tree"
    libraries = [f"-lns3-{name}" for name in LIBRARIES]
    done = subprocess.run(
        ["g++", "-O2", "-std=c++17", str(source), "-o", str(binary), *libraries], capture_output=True, text=True
    )
    if done.returncode != 0:
        raise SystemExit(f"tree.cc could not be compiled; is ns-3 installed (libns3-dev)?\n{done.stderr[-2000:]}")
    return binary


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ns3", required=True, type=Path, help="folder with tree.cc and generate.py")
    parser.add_argument("--seed", type=int, required=True, help="draws the cases")
    parser.add_argument("--cases", type=int, default=60)
    parser.add_argument("--out", type=Path, required=True, help="file to write")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        binary = compile_tree(options.ns3 / "tree.cc", Path(folder))
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, str(options.ns3 / "generate.py"), str(binary), str(options.out), str(options.seed),
             str(options.cases)],
            check=True,
        )  # fmt: skip
        wall_s = time.perf_counter() - began
    cases = json.loads(options.out.read_text())
    transfers = sum(len(case["flows"]) for case in cases)
    print(
        json.dumps({"cases": len(cases), "transfers": transfers, "seed": options.seed, "ns3_wall_s": round(wall_s, 1)})
    )


if __name__ == "__main__":
    main()
