"""`weightlint verify --part` and `weightlint merge`: the report of one run, whoever did the parts, and parts that lie."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_verify import bf16, layers, normal, write

from weightlint import api
from weightlint.cli import app
from weightlint.errors import UsageError
from weightlint.outputs.json import OUTPUT
from weightlint.probe import Job
from weightlint.runners.threads import Threads
from weightlint.verifying.launcher import LAUNCHERS, part_of
from weightlint.verifying.tally import part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from weightlint.finding import Report
    from weightlint.probe import Probe, Row

FILES = 6


def checkpoint(folder: Path) -> Path:
    """Write files with a NaN, a layer that is there twice in two files, a wrong hash, and a shard that is missing."""
    lines = []
    for number in range(1, FILES + 1):
        path = folder / f"model-{number:05}-of-{FILES + 1:05}.safetensors"
        seed = 2 if number == 5 else number
        tensors = {
            f"model.layers.{number}.mlp.{name}_proj.weight": (
                "BF16",
                bf16(normal(64, 256 + 64 * at, seed=seed)),
            )
            for at, name in enumerate(("up", "down"))
        }
        if number == 3:
            tensors["model.layers.3.mlp.up_proj.weight"][1][5, 5] = 0x7FC0
        write(path, tensors)
        digest = hashlib.sha256(path.read_bytes() + b"?" * (number == 4)).hexdigest()
        lines.append(f"{digest}  {path.name}\n")
    (folder / "SHA256SUMS").write_text("".join(lines))
    return folder


def shown(report: Report) -> str:
    stream = io.StringIO()
    OUTPUT(replace(report, facts=replace(report.facts, seconds=0.0)), stream)
    return stream.getvalue()


def run(*words: object) -> Any:
    return CliRunner().invoke(app, [*map(str, words)])


def parts(folder: Path, out: Path, of: int = 3) -> list[str]:
    places = [str(out / f"part-{number}.json") for number in range(1, of + 1)]
    for number, place in enumerate(places, 1):
        api.verify_part(str(folder), number, of, place)
    return places


@pytest.mark.parametrize("of", [1, 3, 20])
def test_parts_together_are_one_run(tmp_path: Path, of: int) -> None:
    folder = checkpoint(tmp_path / "m")
    merged = api.merge(parts(folder, tmp_path, of))
    assert shown(merged) == shown(api.verify(str(folder)))
    assert {finding.code for finding in merged.findings} == {"WL103", "WL701", "WL705", "WL706"}


def test_the_same_part_twice_is_fine(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "m")
    one, two, three = parts(folder, tmp_path)
    again = str(tmp_path / "again.json")
    api.verify_part(str(folder), 2, 3, again)
    assert shown(api.merge([again, three, two, one, one])) == shown(api.verify(str(folder)))


def test_a_missing_part_is_named(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "m")
    one, _, three = parts(folder, tmp_path)
    (folder / "SHA256SUMS").unlink()
    result = run("merge", one, three, "--fail-on", "error", "--select", "WL704")
    assert result.exit_code == 3
    assert "part 2 of 3 is missing: 2 jobs" in result.stdout
    assert "parts {2,3} of 3 are missing" in run("merge", one, "--select", "WL704").stdout


def test_a_part_that_was_broken_off_is_named(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "m")
    one, two, three = parts(folder, tmp_path)

    class Broken(Threads):
        def run(self, jobs: Iterable[Job], probe: Probe, told: Callable[[int], None]) -> Iterator[Row]:
            yield probe(next(iter(jobs)), told)
            raise KeyboardInterrupt

    Path(two).unlink()
    api.verify_part(str(folder), 2, 3, two, runner=Broken())
    report = api.merge([one, two, three])
    assert "part 2 of 3 was broken off: 1 job, " in report.notes[1]
    assert not report.facts.complete
    api.verify_part(str(folder), 2, 3, two)
    assert api.merge([one, two, three]).facts.complete


def test_a_part_that_is_broken_off_ends_with_3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = checkpoint(tmp_path / "m")

    def broken(*_: object) -> Iterator[Row]:
        raise KeyboardInterrupt

    monkeypatch.setattr(Threads, "run", broken)
    assert run("verify", folder, "--part", "1/3", "--output", tmp_path / "1.json").exit_code == 3


def test_parts_of_different_things_are_refused(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "m")
    one, two, three = parts(folder, tmp_path)
    for words, why in (
        (("--no-values",), "of different runs: 12 jobs are not in both"),
        (("--against", write_sums(tmp_path, folder)), "of different runs"),
    ):
        assert run("verify", folder, "--part", "3/3", "--output", tmp_path / "o.json", *words).exit_code == 0
        with pytest.raises(UsageError, match=f"{one} and .*o.json are {why}"):
            api.merge([one, two, str(tmp_path / "o.json")])
        (tmp_path / "o.json").unlink()
    table = json.loads(Path(three).read_text())
    table["weightlint"] = "9.9"
    Path(three).write_text(json.dumps(table))
    with pytest.raises(UsageError, match=r"written by weightlint 0\.1\.0 and 9\.9"):
        api.merge([one, two, three])


def write_sums(folder: Path, files: Path) -> Path:
    """Write sha512 of every file, another thing to ask for."""
    lines = [
        f"{hashlib.sha512(each.read_bytes()).hexdigest()}  {each.name}\n"
        for each in files.glob("*.safetensors")
    ]
    (folder / "SHA512SUMS").write_text("".join(lines))
    return folder / "SHA512SUMS"


def test_parts_of_different_checkpoints_are_refused(tmp_path: Path) -> None:
    one, *_ = parts(checkpoint(tmp_path / "a"), tmp_path)
    other = checkpoint(tmp_path / "b")
    write(other / f"model-00001-of-{FILES + 1:05}.safetensors", layers(3))
    api.verify_part(str(other), 2, 3, str(tmp_path / "o.json"))
    with pytest.raises(
        UsageError, match=r"part-1.json and .*o.json are of different checkpoints: model-00001"
    ):
        api.merge([one, str(tmp_path / "o.json")])


def test_a_file_that_changed_between_parts_is_refused(tmp_path: Path) -> None:
    """One file of two jobs, of which each part has one; the second is read of a newer file of the same size."""
    folder = tmp_path / "m"
    write(folder / "m.safetensors", layers(4))
    one, two = (str(tmp_path / f"{number}.json") for number in (1, 2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("weightlint.verifying.jobs.RUN", 64 * 256 * 2)
        api.verify_part(str(folder), 1, 2, one)
        os.utime(folder / "m.safetensors", (1, 1))
        api.verify_part(str(folder), 2, 2, two)
    with pytest.raises(UsageError, match=r"1.json and .*2.json read different files as m.safetensors"):
        api.merge([one, two])


def test_a_file_that_changed_since_is_refused(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "m")
    made = parts(folder, tmp_path)
    os.utime(folder / f"model-00002-of-{FILES + 1:05}.safetensors", (1, 1))
    with pytest.raises(UsageError, match=r"model-00002.* has another size or date now"):
        api.merge(made)


def test_memory_that_lies_is_told(tmp_path: Path) -> None:
    """The same bytes read twice with two hashes."""
    folder = checkpoint(tmp_path / "m")
    one, *_ = parts(folder, tmp_path)
    table = json.loads(Path(one).read_text())
    (key,) = table["rows"][0][4]
    table["rows"][0][4][key] = "0" * 64
    (tmp_path / "o.json").write_text(json.dumps(table))
    with pytest.raises(UsageError, match="saw others"):
        api.merge([one, str(tmp_path / "o.json")])


def test_without_the_checkpoint_the_report_is_not_complete(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "m")
    made = parts(folder, tmp_path)
    folder.rename(tmp_path / "moved")
    report = api.merge(made)
    assert not report.facts.complete
    assert "say where it is with --target" in report.notes[0]
    moved = api.merge(made, target=str(tmp_path / "moved"))
    assert shown(moved) == shown(replace(moved, facts=replace(moved.facts, complete=True)))
    assert moved.facts.complete
    with pytest.raises(UsageError, match="no such file"):
        api.merge(made, target=str(tmp_path / "nowhere"))


def test_a_part_may_not_name_an_address(tmp_path: Path) -> None:
    made = parts(checkpoint(tmp_path / "m"), tmp_path, 1)
    table = json.loads(Path(made[0]).read_text())
    table["target"] = "http://127.0.0.1:1/model"
    Path(made[0]).write_text(json.dumps(table))
    report = api.merge(made)
    assert not report.facts.complete
    assert "which only --target may name" in report.notes[0]


@pytest.mark.parametrize(
    ("text", "environment", "wanted"),
    [
        ("3/8", {"RANK": "0", "WORLD_SIZE": "2"}, (3, 8)),
        ("auto", {"SLURM_PROCID": "0", "SLURM_NTASKS": "4"}, (1, 4)),
        ("auto", {"RANK": "3", "WORLD_SIZE": "4", "SLURM_PROCID": "0", "SLURM_NTASKS": "1"}, (4, 4)),
        ("auto", {"RANK": "3", "SLURM_PROCID": "1", "SLURM_NTASKS": "2"}, (2, 2)),
        ("auto", {"OMPI_COMM_WORLD_RANK": "7", "OMPI_COMM_WORLD_SIZE": "8"}, (8, 8)),
        ("auto/8", {"JOB_COMPLETION_INDEX": "7"}, (8, 8)),
        ("auto/8", {"RANK": "7"}, (8, 8)),
    ],
)
def test_who_says_which_part(text: str, environment: dict[str, str], wanted: tuple[int, int]) -> None:
    """Variables: PyTorch's torchrun page, srun(1), Open MPI's FAQ, Kubernetes' page on indexed Jobs."""
    assert part_of(text, environment) == wanted


@pytest.mark.parametrize(
    ("text", "environment", "why"),
    [
        ("auto", {}, "SLURM_PROCID and SLURM_NTASKS.*JOB_COMPLETION_INDEX"),
        ("auto", {"JOB_COMPLETION_INDEX": "1"}, "auto/8"),
        ("auto", {"RANK": "one", "WORLD_SIZE": "2"}, "RANK is 'one'"),
        ("auto", {"RANK": "-1", "WORLD_SIZE": "2"}, "RANK is '-1'"),
        ("auto", {"RANK": "2", "WORLD_SIZE": "2"}, "RANK is 2 and WORLD_SIZE 2"),
        ("auto/3", {"RANK": "0", "WORLD_SIZE": "2"}, "WORLD_SIZE 2"),
        ("auto/0", {"RANK": "0"}, "not a part"),
        ("0/8", {}, "not a part"),
        ("9/8", {}, "not a part"),
        ("1/1000000000", {}, "not a part"),
        ("٣/٨", {}, "not a part"),
    ],
)
def test_what_is_no_part(text: str, environment: dict[str, str], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        part_of(text, environment)


def test_a_part_has_a_name_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = checkpoint(tmp_path / "m")
    monkeypatch.chdir(tmp_path)
    for launcher in LAUNCHERS:
        for name in filter(None, launcher):
            monkeypatch.delenv(name, raising=False)
    for rank in range(3):
        monkeypatch.setenv("SLURM_PROCID", str(rank))
        monkeypatch.setenv("SLURM_NTASKS", "3")
        assert run("verify", folder, "--part", "auto").exit_code == 0
    places = sorted(each.name for each in tmp_path.glob("part*.json"))
    assert places == [f"part-{number}-of-3.json" for number in (1, 2, 3)]
    assert run("merge", *places).exit_code == 1


@given(st.lists(st.integers(0, 1 << 40), max_size=40), st.integers(1, 12))
def test_every_job_is_in_one_part(sizes: list[int], of: int) -> None:
    jobs = [
        Job(key=str(at), file="f", size=size, start=0, stop=size, spans=()) for at, size in enumerate(sizes)
    ]
    split = [part(jobs, number, of) for number in range(1, of + 1)]
    assert sorted(job.key for jobs in split for job in jobs) == sorted(job.key for job in jobs)
    loads = [sum(job.stop for job in jobs) for jobs in split]
    assert max(loads) - min(loads) <= max(sizes, default=0)


def test_a_file_that_goes_away_is_a_finding(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "m")

    class Gone(Threads):
        def run(self, jobs: Iterable[Job], probe: Probe, told: Callable[[int], None]) -> Iterator[Row]:
            (folder / f"model-00001-of-{FILES + 1:05}.safetensors").unlink()
            yield from super().run(jobs, probe, told)

    found = [it for it in api.verify(str(folder), runner=Gone()).findings if it.code == "WL101"]
    assert [it.place.files for it in found] == [(f"model-00001-of-{FILES + 1:05}.safetensors",)]


HOSTILE: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    1 << 70,
    1e308,
    -0.5,
    "",
    "\x1b[31m",
    "../../etc/passwd",
    [],
    [[]],
    {},
    {"a": 1},
)


def places_of(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield at
    children = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, child in children:
        yield from places_of(child, (*at, key))


def changed(table: Any, place: tuple[Any, ...], value: Any) -> Any:
    if not place:
        return value
    out = copy.deepcopy(table)
    inner = out
    for key in place[:-1]:
        inner = inner[key]
    if value is ...:
        del inner[place[-1]]
    else:
        inner[place[-1]] = value
    return out


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    folder = tmp_path_factory.mktemp("sound")
    made = parts(checkpoint(folder / "m"), folder, 1)
    return folder, json.loads(Path(made[0]).read_text())


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_part_that_lies_gives_no_traceback(sound: tuple[Path, Any], data: st.DataObject) -> None:
    folder, table = sound
    every = [*places_of(table)]
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.sampled_from(every))
        try:
            table = changed(table, place, data.draw(st.sampled_from([*HOSTILE, ...])))
        except (KeyError, IndexError, TypeError):
            continue
    if table is ...:
        return
    path = folder / "lies.json"
    path.write_text(json.dumps(table))
    result = run("merge", path, "--format", "text", "--format", f"json={folder / 'o.json'}")
    assert result.exit_code in {0, 1, 2, 3}
    assert "internal error" not in result.stderr
    assert "WL000" not in result.stdout
    assert "\x1b" not in result.stdout + result.stderr


@pytest.mark.parametrize(
    ("place", "value", "why"),
    [
        (("parts",), [[0, 3]], "part 0 of 3 cannot be"),
        (("parts",), [[4, 3]], "part 4 of 3 cannot be"),
        (("parts",), [[1, 1_000_000]], "part 1 of 1,000,000 cannot be"),
        (("jobs", 0, 1), "../x", "leads out of the folder"),
        (("jobs", 0, 3), -1, "the number -1 stands where a whole number"),
        (("jobs", 0, 3), True, "true stands where a whole number"),
        (("jobs", 0, 2), 10, "does not add up"),
        (("jobs", 0, 5, 1, 2), 1, "does not add up"),
        (("jobs", 0, 5, 1, 7), 0, "does not add up"),
        (("jobs", 0, 5, 1, 8), [3], "the number 3 stands where a text"),
        (("jobs", 0, 5, 1), ["x"], "a list stands where a list of 9"),
        (("rows", 0, 0), "another", "is not of its job"),
        (("rows", 0, 2), 1 << 40, "is not of its job"),
        (("rows", 0, 5), [], "is not of its job"),
        (("rows", 0, 6), [[5, 4]], "is not of its job"),
        (("rows", 0, 4), {"sha256": 1}, "the number 1 stands where a text"),
        (("weightlint",), ..., "has no 'weightlint'"),
    ],
)
def test_what_a_part_cannot_say(
    sound: tuple[Path, Any], place: tuple[Any, ...], value: Any, why: str
) -> None:
    folder, table = sound
    (folder / "odd.json").write_text(json.dumps(changed(table, place, value)))
    with pytest.raises(UsageError, match=re.escape(why)):
        api.merge([str(folder / "odd.json")])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[" * 100_000,
        '{"a":' * 100_000,
        "null",
        '{"weightlint_tally": 1}',
        '{"weightlint_tally": 2}',
        '{"weightlint_tally": ' + "9" * 5000 + "}",
        "\x00",
        '{"weightlint_tally": 1, "jobs": [[]], "rows": [], "target": "", "notes": [], "digests": [], "parts": []}',
    ],
    ids=range(9),
)
def test_what_is_no_part_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "part.json"
    path.write_text(text)
    with pytest.raises(UsageError, match="holds no results of `weightlint verify`"):
        api.merge([str(path)])
    with pytest.raises(UsageError):
        api.merge([str(tmp_path)])
    with pytest.raises(UsageError):
        api.merge([str(tmp_path / "absent.json")])


def test_a_million_parts_take_no_time(sound: tuple[Path, Any]) -> None:
    """Each of them is worked out once, not once for each part that is there."""
    folder, table = sound
    table = {**table, "rows": [], "parts": [[number, 999_999] for number in range(1, 3000)]}
    (folder / "many.json").write_text(json.dumps(table))
    report = api.merge([str(folder / "many.json")])
    assert report.notes[1].startswith("parts {3000..999999} of 999,999 are missing: 0 jobs")
