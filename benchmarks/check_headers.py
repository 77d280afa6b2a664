"""Time `weightlint check` beside readers of the same headers, on a full-size sparse DeepSeek-V3.

    python benchmarks/check_headers.py [--rounds 5] [--million]

Whole processes, run in turn so that a busy machine slows all of them; medians and ratios. Peers
that are not installed are left out. Each reader does less than `check`: it says so in its row.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

from timing import compare, timed

READ = "f=open(p,'rb');h=json.loads(f.read(struct.unpack('<Q',f.read(8))[0]))"
SCRIPTS = {
    "json.loads of the headers": f"import sys,glob,json,struct\nfor p in sorted(glob.glob(sys.argv[1]+'/*.safetensors')): {READ}",
    "safe_open: names, dtypes, shapes": (
        "import sys,glob\nfrom safetensors import safe_open\nfor p in sorted(glob.glob(sys.argv[1]+'/*.safetensors')):\n"
        " with safe_open(p,framework='np') as f:\n  [(k,s.get_dtype(),s.get_shape()) for k in f.keys() for s in [f.get_slice(k)]]"
    ),
    "transformers: the model on meta, no headers": (
        "import sys,torch\nfrom transformers import AutoConfig,AutoModelForCausalLM\nc=AutoConfig.from_pretrained(sys.argv[1])\n"
        "c.quantization_config=None if hasattr(c,'quantization_config') else None\n"
        "with torch.device('meta'): AutoModelForCausalLM.from_config(c)"
    ),
}
BASE = "json.loads of the headers"


def command(code: str, folder: Path) -> list[str]:
    """Return the command of one peer."""
    return [sys.executable, "-c", code, str(folder)]


def checks(folder: Path, rounds: int) -> None:
    """Compare a check with readers of the same headers."""
    argvs = {name: command(code, folder) for name, code in SCRIPTS.items()}
    words = ("weightlint", "check", "--no-settings", "--arch", "deepseek_v3", str(folder))
    argvs["weightlint check"] = [sys.executable, "-m", *words]
    compare(argvs, rounds, base=BASE)


def deep(folder: Path, layers: int) -> None:
    """Write a DeepSeek-V3 with another number of layers."""
    config = json.loads((folder / "config.json").read_text())
    config["num_hidden_layers"] = layers
    path = folder.parent / f"config-{layers}.json"
    path.write_text(json.dumps(config))
    write(folder.parent / f"ckpt-{layers}", "--config", str(path))


def write(folder: Path, *options: str) -> None:
    """Write a sparse checkpoint in a process of its own, so that this one stays small.

    The peak memory of a child counts from what its parent held when it was forked.
    """
    argv = [sys.executable, "-m", "weightlint", "synth", "--arch", "deepseek_v3", *options, str(folder)]
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)


def growth(folder: Path, rounds: int) -> None:
    """Print time and memory of `check` for up to a million tensors."""
    print(f"\n{'layers':>8}{'tensors':>12}{'seconds':>9}{'us/tensor':>11}{'MB':>7}")
    for layers in (61, 160, 320, 650):
        deep(folder, layers)
        target = folder.parent / f"ckpt-{layers}"
        argv = [sys.executable, "-m", "weightlint", "check", "--no-settings", str(target)]
        results = [result for _ in range(rounds) if (result := timed(argv))]
        seconds, memory = statistics.median(s for s, _ in results), max(m for _, m in results)
        count = target.joinpath("model.safetensors.index.json").read_text().count('": "model')
        print(f"{layers:8}{count:12,}{seconds:9.3f}{1e6 * seconds / count:11.2f}{memory:7}")


def headers(folder: Path) -> int:
    """Return the bytes of all headers."""
    return sum(struct.unpack("<Q", path.open("rb").read(8))[0] for path in folder.glob("*.safetensors"))


def main() -> None:
    """Write the checkpoint and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--million", action="store_true", help="also grow to a million tensors")
    asked = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work) / "ckpt"
        write(folder)
        print(f"{headers(folder):,} bytes of headers, {os.cpu_count()} cores\n")
        checks(folder, asked.rounds)
        if asked.million:
            growth(folder, asked.rounds)


if __name__ == "__main__":
    main()
