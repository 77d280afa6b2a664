"""`--every-node`: the copies of several machines compared, here of folders that stand for the disks of machines."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from test_verify import bf16, normal, write

from weightlint import api
from weightlint.cli import app
from weightlint.errors import UsageError
from weightlint.finding import Level
from weightlint.runners.threads import Threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from weightlint.finding import Report
    from weightlint.probe import Job, Probe, Row

FILES = 4
THIRD = "model-00003-of-00004.safetensors"


@dataclass(frozen=True, slots=True)
class Machines(Threads):
    """Threads that are one machine after the other: SCRATCH is another folder on each."""

    folders: dict[str, Path] = field(default_factory=dict)
    stop_at: int = -1

    def run_on_each(self, jobs: Iterable[Job], probe: Probe, told: Callable[[int], None]) -> Iterator[Row]:
        listed = [*jobs]
        for at, (node, folder) in enumerate(self.folders.items()):
            if at == self.stop_at:
                raise KeyboardInterrupt
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("SCRATCH", str(folder))
                yield from [replace(probe(job, told), node=node) for job in listed]


def made(folder: Path) -> Path:
    for number in range(1, FILES + 1):
        tensors = {
            f"model.layers.{number}.mlp.{name}_proj.weight": (
                "BF16",
                bf16(normal(64, 256, seed=number * 8 + at)),
            )
            for at, name in enumerate(("up", "down", "gate"))
        }
        write(folder / "m" / f"model-{number:05}-of-{FILES:05}.safetensors", tensors)
    return folder


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Make three copies; the first is below a link, which leads elsewhere on other machines."""
    first = tmp_path / "one"
    first.symlink_to(made(tmp_path / "disk"))
    for name in ("two", "three"):
        shutil.copytree(first, tmp_path / name)
    monkeypatch.setenv("SCRATCH", str(first))
    return {name: tmp_path / name for name in ("one", "two", "three")}


def verify(folders: dict[str, Path], **options: Any) -> Report:
    return api.verify("$SCRATCH/m", every_node=True, runner=Machines(folders=folders), **options)


def sums(folders: dict[str, Path], name: str) -> Path:
    """Write down the sha256 of the files on one machine."""
    files = sorted((folders[name] / "m").glob("*.safetensors"))
    out = folders["one"].parent / "SHA256SUMS"
    out.write_text("".join(f"{hashlib.sha256(it.read_bytes()).hexdigest()}  {it.name}\n" for it in files))
    return out


def test_equal_copies(folders: dict[str, Path]) -> None:
    report = verify(folders)
    assert report.findings == ()
    assert report.notes[0] == "3 nodes hold the same bytes: one, three, two"
    assert (report.facts.checked, report.facts.target) == (12, "$SCRATCH/m")
    assert report.exit_code() == 0


@pytest.mark.parametrize("name", ["one", "two"])
def test_the_copy_that_differs_is_named(folders: dict[str, Path], name: str) -> None:
    """One bit of the last tensor but one, on the machine where the run began or on another."""
    flip(folders[name] / "m" / THIRD, -64 * 256 * 2 - 1)
    (found,) = verify(folders).findings
    size = (folders[name] / "m" / THIRD).stat().st_size
    first, last = size - 2 * 64 * 256 * 2, size - 64 * 256 * 2 - 1
    others = ", ".join(sorted({*folders} - {name}))
    assert (found.code, found.level) == ("WL705", Level.ERROR)
    assert f"on node {name} 1 file differs from what nodes {others} hold" in found.message
    assert f"differs in bytes {first:,} to {last:,}" in found.message
    assert found.place.tensors == ("model.layers.3.mlp.down_proj.weight",)
    assert found.place.files == (THIRD,)


def test_of_two_copies_none_is_called_right(folders: dict[str, Path]) -> None:
    del folders["three"]
    flip(folders["two"] / "m" / THIRD, -1)
    (found,) = verify(folders).findings
    assert (
        "node two and node one hold other bytes of 1 file, and nothing tells which are right" in found.message
    )
    assert "--against" in found.cure


def test_a_hash_tells_which_of_two_is_right(folders: dict[str, Path]) -> None:
    del folders["three"]
    listed = sums(folders, "two")
    flip(folders["one"] / "m" / THIRD, -1)
    (found,) = verify(folders, against=[str(listed)]).findings
    assert "on node one 1 file differs from what hashes say and what node two holds" in found.message


def test_a_hash_outvotes_the_most(folders: dict[str, Path]) -> None:
    listed = sums(folders, "three")
    for name in ("one", "two"):
        flip(folders[name] / "m" / THIRD, -1)
    (found,) = verify(folders, against=[str(listed)]).findings
    assert "on nodes one, two 1 file differs from what hashes say and what node three holds" in found.message


def test_a_hash_that_none_has_is_told_as_well(folders: dict[str, Path]) -> None:
    listed = sums(folders, "one")
    for folder in folders.values():
        flip(folder / "m" / THIRD, -1)
    (found,) = verify(folders, against=[str(listed)]).findings
    assert "does not have the sha256" in found.message


def test_a_manifest_tells_which_is_right(folders: dict[str, Path], tmp_path: Path) -> None:
    del folders["three"]
    listed = tmp_path / "listed.json"
    listed.write_text(api.manifest(str(folders["one"] / "m")))
    flip(folders["one"] / "m" / THIRD, -1)
    (found,) = verify(folders, manifest=str(listed)).findings
    assert "on node one 1 file differs from what hashes say and what node two holds" in found.message
    assert found.place.tensors == ("model.layers.3.mlp.gate_proj.weight",)


def test_different_files_on_different_machines(folders: dict[str, Path]) -> None:
    """No machine has a copy that is right throughout, and still each file has a right one."""
    for number, name in enumerate(folders, 1):
        flip(folders[name] / "m" / f"model-{number:05}-of-{FILES:05}.safetensors", -1)
    found = verify(folders).findings
    assert sorted((it.message.split()[2], it.place.files[0][:11]) for it in found) == [
        ("one", "model-00001"),
        ("three", "model-00003"),
        ("two", "model-00002"),
    ]


def test_sizes_and_absent_files(folders: dict[str, Path]) -> None:
    (folders["two"] / "m" / THIRD).unlink()
    with (folders["two"] / "m" / THIRD.replace("3", "2", 1)).open("ab") as stream:
        stream.write(b"more")
    size = (folders["one"] / "m" / THIRD).stat().st_size
    (found,) = verify(folders).findings
    assert "on node two 2 files differ from what nodes one, three hold" in found.message
    assert f"model-00002-of-00004.safetensors has {size + 4:,} bytes, not {size:,}" in found.message
    assert f"{THIRD} cannot be opened: No such file or directory" in found.message


def test_a_machine_without_a_copy_is_named(folders: dict[str, Path]) -> None:
    shutil.rmtree(folders["two"])
    report = verify(folders)
    (found,) = report.findings
    assert (found.level, found.message) == (
        Level.WARNING,
        "node two has no copy: there is nothing at $SCRATCH/m on it",
    )
    assert report.notes[0] == "2 nodes hold the same bytes: one, three"


def test_values_are_looked_at_once(folders: dict[str, Path]) -> None:
    array = normal(64, 256)
    array[3, 4] = float("nan")
    for folder in folders.values():
        write(folder / "m" / THIRD, {"model.layers.3.mlp.down_proj.weight": ("F32", array)})
    report = verify(folders)
    assert [it.code for it in report.findings] == ["WL701"]
    assert report.notes[0].startswith("3 nodes hold the same bytes")


def test_a_run_that_is_broken_off_is_not_complete(folders: dict[str, Path]) -> None:
    runner = Machines(folders=folders, stop_at=2)
    flip(folders["two"] / "m" / THIRD, -1)
    report = api.verify("$SCRATCH/m", every_node=True, runner=runner)
    assert not report.facts.complete
    assert [it.code for it in report.findings] == ["WL705"]
    assert not any("same bytes" in note for note in report.notes)


def test_a_copy_that_is_cut_off_where_the_run_begins(folders: dict[str, Path]) -> None:
    path = folders["one"] / "m" / THIRD
    size = path.stat().st_size
    os.truncate(path, size - 1000)
    torn, differing = verify(folders).findings
    assert torn.code == "WL102"
    assert "on node one 1 file differs from what nodes three, two hold" in differing.message
    assert f"has {size - 1000:,} bytes, not {size:,}" in differing.message


def test_what_does_not_go_together(folders: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--runner ray"):
        api.verify("$SCRATCH/m", every_node=True)
    with pytest.raises(UsageError, match="anew each time"):
        verify(folders, resume=str(tmp_path / "state.json"))
    words = ["verify", os.path.expandvars("$SCRATCH/m"), "--every-node"]
    for more in (["--part", "1/2"], ["--cache"], ["--resume", "x"]):
        assert "it goes without" in CliRunner().invoke(app, [*words, *more]).stderr
    assert "--runner ray" in CliRunner().invoke(app, words).stderr
