"""Time `weightlint inspect` of a torch file beside torch.load on the meta device, in one run.

    python benchmarks/torch_listing.py [--rounds 5] [--tensors 10000]

torch.save writes the file, small tensors under the names of a model. Whole processes, run in turn so that
a busy machine slows all of them; medians and ratios. torch.load unpickles with `weights_only` and reads
no weights either; picklescan, where it is installed, only looks for dangerous globals.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WRITE = """
import sys, torch
count = int(sys.argv[2])
names = (f"model.layers.{at // 10}.part{at % 10}.weight" for at in range(count))
torch.save({name: torch.empty(2, 3) for name in names}, sys.argv[1])
"""
PEERS = {
    "torch.load(meta, mmap)": (
        "import sys, torch; torch.load(sys.argv[1], map_location='meta', mmap=True, weights_only=True)"
    ),
    "import torch": "import torch",
    "picklescan": "import sys; from picklescan.scanner import scan_file_path; scan_file_path(sys.argv[1])",
    "python and click alone": "import click",
}


def timed(argv: list[str]) -> float | None:
    """Run one process and return its wall time in seconds, None if it fails."""
    began = time.perf_counter()
    done = subprocess.run(argv, capture_output=True, check=False)
    return None if done.returncode else time.perf_counter() - began


def compare(path: Path, rounds: int) -> None:
    """Run all in turn and print medians and ratios."""
    argvs = {
        "weightlint inspect": [sys.executable, "-m", "weightlint", "inspect", str(path)],
        **{name: [sys.executable, "-c", code, str(path)] for name, code in PEERS.items()},
    }
    runs: dict[str, list[float]] = {name: [] for name in argvs}
    for _ in range(rounds):
        for name, argv in argvs.items():
            seconds = timed(argv)
            runs[name] += [] if seconds is None else [seconds]
    ours = statistics.median(runs["weightlint inspect"])
    print(f"{'':26}{'seconds':>9}{'x inspect':>11}")
    for name, results in runs.items():
        if results:
            print(f"{name:26}{statistics.median(results):9.3f}{statistics.median(results) / ours:11.1f}")
        else:
            print(f"{name:26}  not installed, or failed")


def main() -> None:
    """Write the file in a process of its own and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tensors", type=int, default=10_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        path = Path(work) / "pytorch_model.bin"
        subprocess.run([sys.executable, "-c", WRITE, str(path), str(asked.tensors)], check=True)
        print(f"{asked.tensors:,} tensors, {path.stat().st_size:,} bytes, {os.cpu_count()} cores")
        compare(path, asked.rounds)


if __name__ == "__main__":
    main()
