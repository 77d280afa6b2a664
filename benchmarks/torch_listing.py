"""Time `weightlint inspect` of a torch file beside torch.load on the meta device, in one run.

    python benchmarks/torch_listing.py [--rounds 5] [--tensors 10000]

torch.save writes the file, small tensors under the names of a model. Whole processes, run in turn so that
a busy machine slows all of them; medians and ratios. torch.load unpickles with `weights_only` and reads
no weights either; picklescan, where it is installed, only looks for dangerous globals.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from timing import compare

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


def listings(path: Path, rounds: int) -> None:
    """Compare inspect with the peers."""
    argvs = {
        "weightlint inspect": [sys.executable, "-m", "weightlint", "inspect", str(path)],
        **{name: [sys.executable, "-c", code, str(path)] for name, code in PEERS.items()},
    }
    compare(argvs, rounds, base="weightlint inspect")


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
        listings(path, asked.rounds)


if __name__ == "__main__":
    main()
