"""Hostile GGUF files, one changed byte and one cut point: a finding or the same table, never more.

The inputs named G are built by the generator that lies beside the project; they are checked in a
process with little memory and little time. All have a small counterpart in `test_gguf.py`.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from gguf_toy import llama
from hypothesis import given, settings
from hypothesis import strategies as st

from weightlint.gguf.reader import read
from weightlint.store import MemoryBlob

if TYPE_CHECKING:
    from weightlint.index import Header

TOOL = Path(__file__).parents[1].parent / "shared" / "tools" / "hostile.py"
SECONDS, MEGABYTES = 4, 256
CHILD = """
import json, pathlib, resource, signal, sys
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
from weightlint.api import check
for path in sorted(pathlib.Path(sys.argv[2]).iterdir()):
    signal.setitimer(signal.ITIMER_VIRTUAL, int(sys.argv[1]))
    said = [[finding.code, str(finding.level), finding.message] for finding in check(str(path), select=["WL1"]).findings]
    # not ru_maxrss, which counts the process that forked as well
    peak = int(open("/proc/self/status").read().partition("VmHWM:")[2].split()[0]) >> 10
    print(json.dumps({"file": path.name, "findings": said, "peak": peak}), flush=True)
"""
"""Checks one input after the other; the timer, set anew for each, counts its own processor time and kills."""

MALFORMED, ODD, TORN, FOREIGN = (
    ("WL107", "error"),
    ("WL107", "warning"),
    ("WL102", "error"),
    ("WL101", "error"),
)
EXPECTED = {
    **{f"G{number:02d}": MALFORMED for number in range(2, 58)},
    "G01": FOREIGN,
    **dict.fromkeys(["G09", "G48", "G49", "G51", "G56"], TORN),
    **dict.fromkeys(["G21", "G52"], ODD),
    "G53": ("WL106", "error"),
    # sound as a format: an empty tensor, bytes behind the data that llama.cpp never reads, NaN in the data,
    # and a block count that is for the rules on keys to judge
    **dict.fromkeys(["G34", "G50", "G54", "G55"]),
}


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Build the inputs and check each of them, in one limited process."""
    if not TOOL.is_file():
        pytest.skip("the generator of hostile inputs is not here")
    spec = importlib.util.spec_from_file_location("hostile", TOOL)
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    folder = tmp_path_factory.mktemp("hostile")
    for case, name, _, build in tool.CASES:
        if case in EXPECTED:
            made = build(folder / name) if build.__code__.co_argcount else build()
            if made is not None:
                (folder / name).write_bytes(made)
    words = [sys.executable, "-c", CHILD, str(SECONDS), str(folder)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout[-300:] + done.stderr[-500:]
    rows = map(json.loads, done.stdout.splitlines())
    return {row["file"][:3]: row for row in rows}


@pytest.mark.parametrize("case", sorted(EXPECTED))
def test_each_hostile_file_has_a_finding_of_its_own(said: dict[str, Any], case: str) -> None:
    row, want = said[case], EXPECTED[case]
    if case != "G54":
        assert [(code, level) for code, level, _ in row["findings"]] == ([] if want is None else [want])
    assert all(row["file"] in message for *_, message in row["findings"])
    assert row["peak"] < MEGABYTES


WHOLE = llama().data()
HEAD = len(llama().head())


def listed(data: bytes) -> Header:
    return read(MemoryBlob(data), "m.gguf")


SOUND = listed(WHOLE)


def same(a: Header, b: Header) -> bool:
    return (a.names, a.kinds, a.starts, a.stops) == (b.names, b.kinds, b.starts, b.stops)


@settings(deadline=None)
@given(st.integers(0, HEAD - 1), st.integers(0, 255))
def test_one_changed_byte_gives_a_fault_or_a_table(at: int, value: int) -> None:
    header = listed(WHOLE[:at] + bytes([value]) + WHOLE[at + 1 :])
    names = {name for name in header.names if name not in SOUND.names}
    assert header.faults or same(header, SOUND) or names or header.kinds != SOUND.kinds
    assert all(fault.message and fault.cure and fault.file == "m.gguf" for fault in header.faults)


def test_every_changed_byte_outside_names_and_values_gives_a_fault() -> None:
    """Turn over every byte of counts, lengths, types, dimensions and offsets of the tensor table."""
    start = WHOLE.index(b"token_embd.weight") - 8
    silent = []
    for at in range(start, HEAD):
        header = listed(WHOLE[:at] + bytes([WHOLE[at] ^ 0xFF]) + WHOLE[at + 1 :])
        if not header.faults:
            silent.append(at)
    within_names = {
        at
        for name in SOUND.names
        for first in [WHOLE.index(name.encode())]
        for at in range(first, first + len(name))
    }
    assert set(silent) <= within_names


@settings(deadline=None)
@given(st.integers(0, len(WHOLE) - 1))
def test_every_cut_gives_one_fault(stop: int) -> None:
    assert len(listed(WHOLE[:stop]).faults) == 1


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_anything_behind_the_magic_is_answered(rest: bytes) -> None:
    for version in (2, 3):
        header = listed(b"GGUF" + version.to_bytes(4, "little") + rest)
        assert header.faults or not header.names


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, HEAD - 1), st.integers(0, 255)), min_size=1, max_size=8))
def test_many_changed_bytes_never_crash(changes: list[tuple[int, int]]) -> None:
    data = bytearray(WHOLE)
    for at, value in changes:
        data[at] = value
    header = listed(bytes(data))
    assert len(header.names) == len(header.kinds) == len(header.starts) == len(header.stops)
