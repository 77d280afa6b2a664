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
import time
from pathlib import Path

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


def timed(argv: list[str]) -> tuple[float, int] | None:
    """Run one process; return its wall time in seconds and its peak memory in MB, None if it fails."""
    began = time.perf_counter()
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - began
    return None if process.returncode else (seconds, usage.ru_maxrss // 1024)


def compare(folder: Path, rounds: int) -> None:
    """Run all in turn and print medians and ratios."""
    argvs = {name: command(code, folder) for name, code in SCRIPTS.items()}
    argvs["weightlint check"] = [
        sys.executable,
        "-m",
        "weightlint",
        "check",
        "--no-settings",
        "--arch",
        "deepseek_v3",
        str(folder),
    ]
    runs: dict[str, list[tuple[float, int]]] = {name: [] for name in argvs}
    for _ in range(rounds):
        for name, argv in argvs.items():
            result = timed(argv)
            if result is not None:
                runs[name].append(result)
    base = statistics.median(seconds for seconds, _ in runs[BASE])
    print(f"{'':46}{'seconds':>9}{'x json':>8}{'MB':>7}")
    for name, results in runs.items():
        if results:
            seconds = statistics.median(second for second, _ in results)
            print(f"{name:46}{seconds:9.3f}{seconds / base:8.2f}{max(memory for _, memory in results):7}")
        else:
            print(f"{name:46}  not installed, or failed")


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
        compare(folder, asked.rounds)
        if asked.million:
            growth(folder, asked.rounds)


if __name__ == "__main__":
    main()
