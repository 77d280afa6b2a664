"""Hostile files and folders: read in a process with little memory and little time.

The inputs are built by the generator that lies beside the project; what each must give is told
here. Every one of them has a small counterpart in the other tests, which need no generator.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

TOOL = Path(__file__).parents[1].parent / "shared" / "tools" / "hostile.py"
pytestmark = pytest.mark.skipif(not TOOL.is_file(), reason="the generator of hostile inputs is not here")

CHILD = """
import json, resource, sys
seconds, target = int(sys.argv[1]), sys.argv[2]
resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
from weightlint.target import open_target
checkpoint = open_target(target)
# not ru_maxrss, which counts the process that forked as well
peak = open("/proc/self/status").read().partition("VmHWM:")[2].split()[0]
print(json.dumps({
    "faults": [[fault.kind, fault.message] for fault in checkpoint.faults],
    "absent": checkpoint.absent,
    "rows": len(checkpoint.index),
    "peak": int(peak) >> 10,
}))
"""

FILES = {
    "S01": "foreign", "S02": "foreign", "S03": "foreign", "S04": "foreign", "S05": "torn",
    "S06": "malformed", "S07": "malformed", "S08": "malformed", "S09": "malformed", "S10": "odd",
    "S11": "malformed", "S12": "malformed", "S13": "malformed", "S14": "malformed", "S15": "malformed",
    "S16": "malformed", "S17": "malformed", "S18": "torn", "S19": "torn", "S20": "malformed",
    "S21": "malformed", "S22": "malformed", "S23": "malformed", "S24": "malformed", "S25": "malformed",
    "S26": "malformed", "S27": "malformed", "S28": "malformed", "S29": "malformed", "S30": "malformed",
    "S31": "malformed", "S32": "malformed", "S33": "malformed", "S34": "malformed", "S35": "malformed",
    "S36": "malformed", "S37": "odd", "S38": "odd", "S39": "odd", "S40": "malformed",
    "S41": "malformed", "S42": "odd", "S43": None, "S44": None, "S45": None,
    "S46": "foreign", "S47": "foreign", "S48": "foreign", "S49": "foreign", "S50": None,
    "S51": None, "S52": "foreign", "S53": "odd",
}  # fmt: skip
TORCH: dict[str, list[str]] = {
    "T01": [],
    **{f"T{number:02d}": ["untrusted"] for number in (*range(2, 10), 14, 44)},
    "T10": ["untrusted", "malformed"],
    **{f"T{number:02d}": ["malformed"] for number in (*range(11, 14), *range(15, 19), *range(20, 33))},
    **{f"T{number:02d}": ["malformed"] for number in (34, 35, 38, 41, 42, 43, 48)},
    **{f"T{number:02d}": ["odd"] for number in (19, 33, 40)},
    "T36": ["unsafe"],
    "T39": ["torn"],
    **{f"T{number:02d}": ["foreign"] for number in (37, 45, 46, 47)},
    "T49": [],
}
LISTED = {"T01", "T03", "T33", "T40", "T48", "T49", *(f"T{number:02d}" for number in (*range(20, 29), 30))}
"""Torch files whose one tensor is listed all the same."""

FOLDERS = {
    **dict.fromkeys(["I01", "I02", "I03", "I04", "I05", "I06", "I07"], "unsafe"),
    **dict.fromkeys(["I08", "I09", "I10", "I11"], "malformed"),
    "I12": "foreign",
    "I13": "malformed",
    "I14": "malformed",
    "I15": None,
    "I16": None,
    "I17": None,
    "I18": "malformed",
    "I19": None,
    "I20": None,
    "I21": "unreadable",
    "I22": "unreadable",
    "I23": "foreign",
    "I24": "unreadable",
    "I25": "unreadable",
    "I26": None,
    "I27": "odd",
}
ABSENT = {"I13": "model-2.safetensors", "I15": "model-2.safetensors", "I26": "Model-1.safetensors"}
SECONDS, MEGABYTES = 4, 256
LARGE = {"S51": (16, 1024)}
"""A million tensors: more is allowed, and no more than the safetensors library itself takes."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the inputs once."""
    built = tmp_path_factory.mktemp("hostile")
    subprocess.run(
        [sys.executable, "-W", "ignore", str(TOOL), "build", str(built)], check=True, capture_output=True
    )
    return built


def looked_at(folder: Path, case: str) -> dict[str, Any]:
    """Read one input in a limited process."""
    (path,) = folder.glob(f"{case}-*")
    seconds, megabytes = LARGE.get(case, (SECONDS, MEGABYTES))
    words = [sys.executable, "-c", CHILD, str(seconds), str(path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr[-500:]
    said: dict[str, Any] = json.loads(done.stdout)
    assert said["peak"] < megabytes
    return said


@pytest.mark.parametrize(("case", "kind"), [*FILES.items(), *FOLDERS.items()])
def test_each_hostile_input_is_one_fault_or_none(folder: Path, case: str, kind: str | None) -> None:
    said = looked_at(folder, case)
    assert [fault for fault, _ in said["faults"]] == ([] if kind is None else [kind])
    assert said["absent"] == ([ABSENT[case]] if case in ABSENT else [])
    assert case != "S51" or said["rows"] == 1_000_000


@pytest.mark.parametrize("case", TORCH)
def test_each_hostile_torch_file_is_told(folder: Path, case: str) -> None:
    said = looked_at(folder, case)
    assert [fault for fault, _ in said["faults"]] == TORCH[case]
    assert said["rows"] == (1 if case in LISTED else 0)


def test_where_a_link_leads_is_told(folder: Path) -> None:
    assert "/etc/hostname" in looked_at(folder, "I23")["faults"][0][1]
    assert "/dev/zero" in looked_at(folder, "I25")["faults"][0][1]
