"""Time `weightlint check` of a full-size DeepSeek-V3 with a loader and a plan beside the same check without.

    python benchmarks/check_plan.py [--rounds 5]

Whole processes, run in turn so that a busy machine slows all of them; medians, ratios and the seconds that each
plan adds. 1,024 ranks are to cost about as much as 8: ranks that fare alike are worked out once.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from timing import compare

PLANS = {
    "vllm, tp=8 pp=3: 24 ranks": ("--loader", "vllm", "--plan", "tp=8,pp=3"),
    "vllm, tp=16 pp=8 dp=8 ep=128: 1,024 ranks": ("--loader", "vllm", "--plan", "tp=16,pp=8,dp=8,ep=128"),
    "sglang, tp=8 pp=3": ("--loader", "sglang", "--plan", "tp=8,pp=3"),
    "vllm at PR #16383, tp=8 pp=3: a fault to tell": ("--loader", "vllm@pr16383", "--plan", "tp=8,pp=3"),
}
BASE = "check alone"


def main() -> None:
    """Write the checkpoint and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work) / "ckpt"
        program = [sys.executable, "-m", "weightlint"]
        subprocess.run(
            [*program, "synth", "--arch", "deepseek_v3", str(folder)], check=True, stdout=subprocess.DEVNULL
        )
        check = [*program, "check", "--no-settings", str(folder)]
        compare(
            {BASE: check, **{name: [*check, *options] for name, options in PLANS.items()}},
            asked.rounds,
            base=BASE,
        )


if __name__ == "__main__":
    main()
