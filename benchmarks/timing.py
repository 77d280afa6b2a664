"""Whole processes, run in turn so that a busy machine slows all of them: wall time, peak memory, ratios.

Modules are compiled beforehand, as an installer does it, even where the environment keeps Python from writing what it compiles.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

FOUND = 1
"""Exit code of a check that finds something: it has not failed."""

Runs = list[tuple[float, int]]


def timed(argv: list[str], *, compiled: str | None = None) -> tuple[float, int] | None:
    """Run one process; return its wall time in seconds and its peak memory in MB, None if it fails.

    `compiled` is a folder for what Python compiles.
    """
    env = dict(os.environ)
    if compiled is not None:
        env.pop("PYTHONDONTWRITEBYTECODE", None)
        env["PYTHONPYCACHEPREFIX"] = compiled
    began = time.perf_counter()
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - began
    sound = {0, FOUND} if "weightlint" in argv else {0}
    return (seconds, usage.ru_maxrss // 1024) if process.returncode in sound else None


def compare(argvs: Mapping[str, list[str]], rounds: int, *, base: str) -> None:
    """Run all in turn and print medians, their ratio to `base`, and peak memory."""
    runs: dict[str, Runs] = {name: [] for name in argvs}
    with tempfile.TemporaryDirectory() as compiled:
        for argv in argvs.values():
            timed(argv, compiled=compiled)
        for _ in range(rounds):
            for name, argv in argvs.items():
                result = timed(argv, compiled=compiled)
                runs[name] += [] if result is None else [result]
    one = statistics.median(seconds for seconds, _ in runs[base])
    wide = max(map(len, argvs)) + 2
    print(f"{'':{wide}}{'seconds':>9}{'ratio':>8}{'MB':>7}   (1 is {base})")
    for name, results in runs.items():
        if results:
            seconds = statistics.median(second for second, _ in results)
            print(f"{name:{wide}}{seconds:9.3f}{seconds / one:8.2f}{max(memory for _, memory in results):7}")
        else:
            print(f"{name:{wide}}  not installed, or failed")
