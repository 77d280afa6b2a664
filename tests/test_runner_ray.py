"""`--runner ray` on a real cluster of three nodes: the same report as threads, whatever happens to a node."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner
from test_verify import bf16, layers, normal, write

from weightlint import api
from weightlint.cli import app
from weightlint.errors import UsageError
from weightlint.outputs.json import OUTPUT
from weightlint.runners.ray import Ray
from weightlint.runners.threads import Threads
from weightlint.scanning.scan import Scan
from weightlint.stores.local import LocalStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from weightlint.finding import Report
    from weightlint.probe import Job, Probe, Row

pytestmark = pytest.mark.ray
pytest.importorskip("ray", reason="there is no Ray here")

NODES = ("one", "two", "three")


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scratch")


@pytest.fixture(scope="module")
def cluster(scratch: Path) -> Iterator[Any]:
    """Start a head without CPUs, as clusters on Kubernetes have, and three nodes with a SCRATCH folder each."""
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        for name in NODES:
            made.add_node(num_cpus=1, node_name=name, env_vars={"SCRATCH": str(scratch / name)})
        yield made
    finally:
        made.shutdown()


def checkpoint(folder: Path, files: int = 12) -> Path:
    """Write a checkpoint with a NaN, a tensor of zeros and a layer that is there twice, over several files."""
    for number in range(files):
        tensors = {
            f"model.layers.{number}.mlp.{name}_proj.weight": ("BF16", bf16(normal(64, 256, seed=number)))
            for name in ("up", "down")
        }
        if number == 3:
            tensors["model.layers.3.mlp.up_proj.weight"][1][5, 5] = 0x7FC0
        if number == 5:
            tensors["model.layers.5.mlp.down_proj.weight"][1][:] = 0
        if number == 7:
            tensors["model.layers.7.mlp.up_proj.weight"] = ("BF16", bf16(normal(64, 256, seed=6)))
        write(folder / f"model-{number + 1:05}-of-{files:05}.safetensors", tensors)
    return folder


def shown(report: Report) -> str:
    import io

    stream = io.StringIO()
    OUTPUT(replace(report, facts=replace(report.facts, seconds=0.0)), stream)
    return stream.getvalue()


@dataclass(frozen=True, slots=True)
class Slow:
    """A probe that takes its time."""

    probe: Probe
    seconds: float

    def __call__(self, job: Job, told: Callable[[int], None], /) -> Row:
        time.sleep(self.seconds)
        return self.probe(job, told)


@dataclass(frozen=True, slots=True)
class Deadly:
    """A probe that takes its process along at one file."""

    probe: Probe
    file: str

    def __call__(self, job: Job, told: Callable[[int], None], /) -> Row:
        if job.file == self.file:
            os._exit(1)
        return self.probe(job, told)


class Watched(Ray):
    """Runs slow jobs and does something when some of them are done."""

    def __init__(self, address: str, seconds: float, after: int, then: Callable[[], None]) -> None:
        super().__init__(address)
        self.__dict__.update(slow=seconds, after=after, then=then, nodes=[])

    def run(self, jobs: Iterable[Job], probe: Probe, told: Callable[[int], None]) -> Iterator[Row]:
        return self.watched(super().run(jobs, Slow(probe, self.__dict__["slow"]), told))

    def run_on_each(self, jobs: Iterable[Job], probe: Probe, told: Callable[[int], None]) -> Iterator[Row]:
        return self.watched(super().run_on_each(jobs, Slow(probe, self.__dict__["slow"]), told))

    def watched(self, rows: Iterator[Row]) -> Iterator[Row]:
        own = self.__dict__
        for number, row in enumerate(rows, 1):
            own["nodes"].append(row.node)
            if number == own["after"]:
                own["then"]()
            yield row


@pytest.fixture(autouse=True)
def by_value() -> Iterator[None]:
    """Send the probe of this file with its code: no node can import a test."""
    from ray import cloudpickle

    here = sys.modules[__name__]
    cloudpickle.register_pickle_by_value(here)
    yield
    cloudpickle.unregister_pickle_by_value(here)


def test_the_report_is_that_of_threads(cluster: Any, tmp_path: Path) -> None:
    path = checkpoint(tmp_path)
    runner = Watched(cluster.address, 0.2, 0, lambda: None)
    ours = api.verify(str(path), runner=runner)
    assert shown(ours) == shown(api.verify(str(path)))
    assert {finding.code for finding in ours.findings} == {"WL701", "WL702", "WL706"}
    assert set(runner.__dict__["nodes"]) == {*NODES}


def test_what_a_lost_node_has_not_done_is_done_again(cluster: Any, tmp_path: Path) -> None:
    path = checkpoint(tmp_path, 24)
    extra = cluster.add_node(num_cpus=2, node_name="doomed")
    cluster.wait_for_nodes()
    runner = Watched(cluster.address, 1.0, 6, lambda: cluster.remove_node(extra, allow_graceful=False))
    ours = api.verify(str(path), runner=runner)
    assert "doomed" in runner.__dict__["nodes"]
    assert ours.facts.complete
    assert ours.facts.checked == 48
    assert shown(ours) == shown(api.verify(str(path)))


def test_a_copy_on_a_node_that_is_lost(cluster: Any, tmp_path: Path) -> None:
    path = checkpoint(tmp_path, 6)
    extra = cluster.add_node(num_cpus=1, node_name="doomed")
    cluster.wait_for_nodes()
    runner = Watched(cluster.address, 1.0, 6, lambda: cluster.remove_node(extra, allow_graceful=False))
    found = api.verify(str(path), runner=runner, every_node=True).findings
    (told,) = [it.message for it in found if it.code == "WL705"]
    assert told.startswith("on node doomed ")
    assert "the machine was lost while it read" in told


def test_a_file_that_kills_whoever_reads_it(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (1, 2, 3):
        write(tmp_path / f"m-{number}.safetensors", {f"x{number}.weight": ("F32", normal(64, 64))})
    monkeypatch.setattr("weightlint.runners.ray.RETRIES", 1)

    class Doomed(Ray):
        def run(self, jobs: Iterable[Job], probe: Probe, told: Callable[[int], None]) -> Iterator[Row]:
            return super().run(jobs, Deadly(probe, "m-2.safetensors"), told)

    (found,) = api.verify(str(tmp_path), runner=Doomed(cluster.address)).findings
    assert found.place.files == ("m-2.safetensors",)
    assert "the machine was lost while it read (WorkerCrashedError)" in found.message


def test_rows_are_kept_for_another_runner(cluster: Any, tmp_path: Path) -> None:
    path = checkpoint(tmp_path / "m")
    kept = str(tmp_path / "state.json")
    api.verify(str(path), runner=Ray(cluster.address), resume=kept)

    class Idle(Threads):
        def run(self, jobs: Iterable[Job], probe: Probe, told: Callable[[int], None]) -> Iterator[Row]:
            del probe, told
            assert [*jobs] == []
            return iter(())

    assert api.verify(str(path), runner=Idle(), resume=kept).facts.checked == 24


def test_the_command_line(cluster: Any, tmp_path: Path) -> None:
    path = checkpoint(tmp_path)
    words = ["verify", str(path), "--runner", "ray", "--address", cluster.address, "--format", "json"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 1
    assert json.loads(result.stdout)["summary"]["checked"] == 24


def test_ctrl_c_gives_what_was_seen(cluster: Any, tmp_path: Path) -> None:
    path = checkpoint(tmp_path, 40)
    program = (
        "import os, signal, sys\n"
        "from weightlint import api\n"
        "from weightlint.runners.ray import Ray\n"
        "from weightlint.verifying.run import Ears\n"
        "seen = []\n"
        "def stop(count):\n"
        "    seen.append(count)\n"
        "    if len(seen) == 5: os.kill(os.getpid(), signal.SIGINT)\n"
        "report = api.verify(sys.argv[1], runner=Ray(sys.argv[2]), ears=Ears(read=stop))\n"
        "print(report.facts.complete, report.facts.checked)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path), cluster.address],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert (done.stdout.split(), done.stderr) == (["False", "10"], "")


def test_every_node_has_its_own_copy(cluster: Any, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The head knows no SCRATCH; of the three nodes that do, one has another bit."""
    for name in NODES:
        for number in (1, 2):
            array = bf16(normal(64, 256, seed=number))
            array[9, 9] ^= name == "three" and number == 2
            write(
                scratch / name / "m" / f"model-{number}.safetensors", {f"x{number}.weight": ("BF16", array)}
            )
    monkeypatch.setenv("SCRATCH", str(scratch / "three"))
    words = ["verify", "$SCRATCH/m", "--runner", "ray", "--address", cluster.address, "--every-node"]
    result = CliRunner().invoke(app, [*words, "--format", "json"])
    differing, lacking = sorted(json.loads(result.stdout)["findings"], key=lambda it: str(it["level"]))
    assert (
        "on node three 1 file differs from what nodes one, two hold: model-2.safetensors"
        in differing["message"]
    )
    assert differing["tensors"] == ["x2.weight"]
    assert "has no copy: there is nothing at $SCRATCH/m on it" in lacking["message"]


def test_nobody_answers(tmp_path: Path) -> None:
    write(tmp_path / "m.safetensors", layers())
    with pytest.raises(UsageError, match="nobody answers there"):
        api.verify(str(tmp_path), runner=Ray("127.0.0.1:1"))
    with pytest.raises(UsageError, match="nobody answers there"):
        api.verify(str(tmp_path), runner=Ray("ray://127.0.0.1:1"))
    with pytest.raises(UsageError, match="Ray at nowhere"):
        api.verify(str(tmp_path), runner=Ray("nowhere"))


def test_a_node_that_sees_another_file(cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where every node has a disk of its own under this path."""
    path = checkpoint(tmp_path)

    class Elsewhere(Scan):
        def __reduce__(self) -> tuple[Any, ...]:
            return Scan, (LocalStore(Path("/nowhere")),)

    monkeypatch.setattr("weightlint.verifying.run.Scan", Elsewhere)
    with pytest.raises(
        UsageError, match=r"node (one|two|three) does not see the model-\d+-of-00012.safetensors"
    ):
        api.verify(str(path), runner=Ray(cluster.address))


def test_numbers_are_those_of_numpy(cluster: Any, tmp_path: Path) -> None:
    array = normal(64, 256)
    array[3, 4] = np.nan
    write(tmp_path / "m.safetensors", {"a.weight": ("F32", array)})
    (found,) = api.verify(str(tmp_path), runner=Ray(cluster.address)).findings
    assert found.code == "WL701"
