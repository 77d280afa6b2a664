"""The command line: options, exit codes, one-line errors, streams that fail, completion."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

import weightlint
from weightlint import (
    api,
    expansion,
    header_faults,
    schema,
    scope,
    settings,
    strict_json,
    verdict,
    weight_map,
)
from weightlint.cli import app
from weightlint.errors import UsageError
from weightlint.finding import Facts, Finding, Level, Report
from weightlint.formats import safetensors, snapshot
from weightlint.plan import Plan
from weightlint.rule import HEADINGS

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(weightlint.__file__).parents[1]
CLEAN = "9 of 9 tensors checked against llama: no findings\n"
FACTS = Facts(target="ckpt", arch="llama", dialect="hf", tensors=9, checked=9)


def run(*words: str) -> Result:
    """Run one command line in this process."""
    return CliRunner().invoke(app, words)


def process(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run one command line in a process of its own."""
    command = [sys.executable, "-m", "weightlint", *words]
    env = {**os.environ, "PYTHONPATH": str(ROOT), **options.pop("env", {})}
    return subprocess.run(command, check=False, text=True, stderr=subprocess.PIPE, env=env, **options)


def report(*findings: Finding, facts: Facts = FACTS) -> Report:
    """Return a report of these findings."""
    return Report(findings=findings, skips=(), facts=facts, version="0.1.0")


def finding(level: Level, code: str = "WL206") -> Finding:
    """Return a finding of a level."""
    return Finding(code=code, rule="some-rule", level=level, message="odd", cure="mend it")


@pytest.fixture(autouse=True)
def _nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run in an empty folder, so that no settings of this project count."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WEIGHTLINT_DEBUG", raising=False)


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Callable[[Report | BaseException], list[Any]]:
    """Let `api.check` answer what a test wants; the list collects what it was asked."""

    def set_answer(outcome: Report | BaseException) -> list[Any]:
        asked: list[Any] = []

        def check(target: str, **options: object) -> Report:
            asked.append((target, options))
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome

        monkeypatch.setattr(api, "check", check)
        return asked

    return set_answer


@pytest.mark.parametrize(
    ("outcome", "words", "code"),
    [
        (report(), (), 0),
        (report(finding(Level.INFO), finding(Level.WARNING)), (), 0),
        (report(finding(Level.WARNING)), ("--fail-on", "warning"), 1),
        (report(finding(Level.INFO)), ("--fail-on", "warning"), 0),
        (report(finding(Level.INFO)), ("--fail-on", "info"), 1),
        (report(finding(Level.ERROR)), (), 1),
        (report(finding(Level.ERROR, "WL000")), (), 2),
        (report(facts=Facts(target="x")), (), 3),
        (report(finding(Level.ERROR), facts=Facts(target="x")), (), 1),
    ],
)
def test_exit_codes(answer: Any, outcome: Report, words: tuple[str, ...], code: int) -> None:
    """The report and --fail-on decide, whatever the format."""
    answer(outcome)
    assert run("check", "ckpt", *words).exit_code == code
    assert run("check", "ckpt", "--format", "json", *words).exit_code == code


def test_check_passes_what_it_was_given(answer: Any) -> None:
    """Selectors are split, and codes come in capitals whatever the user wrote."""
    asked = answer(report())
    words = (
        "check ckpt --arch llama --config c.json --dialect mlx --select wl2,Missing-Tensor --select WL101 "
    )
    words += "--loader vllm@0.8.4 --plan tp=8,pp=3 --ep 8 --gpu h100 --gpu-memory 80GB"
    done = run(*words.split(), "--ignore", "WL20, ,WL302")
    assert (done.output, done.exit_code) == (CLEAN, 0)
    options = {
        "arch": "llama",
        "config": "c.json",
        "schema": None,
        "dialect": "mlx",
        "select": ("WL2", "missing-tensor", "WL101"),
        "ignore": ("WL20", "WL302"),
        "dtype": None,
        "device": None,
        "loader": "vllm@0.8.4",
        "contract": None,
        "plan": Plan(tp=8, pp=3, ep=8),
        "gpu": "h100",
        "gpu_memory": "80GB",
    }
    assert asked == [("ckpt", options)]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--select WL291", "weightlint: no rule 'WL291' (nearest: WL201"),
        ("--ignore mising-tensor", "weightlint: no rule 'mising-tensor' (nearest: missing-tensor"),
        ("--format jsn", "weightlint: no format 'jsn' (nearest: json); there are html, json, text"),
        ("--format json --format text", "weightlint: standard output cannot take two formats; "),
        ("--format json=a --format text=a", "weightlint: a cannot take two formats; "),
        ("--format json=a --output b", "weightlint: --output b and --format json=a: one format, "),
        ("--format json=", "weightlint: --format json=: no file after the equals sign"),
        ("--arch llama --schema x.toml", "weightlint: --arch and --schema both name"),
        ("--output no/such/r.txt", "weightlint: cannot write the report to no/such/r.txt: No such"),
        ("--settings no.toml", "weightlint: settings no.toml: No such file or directory"),
    ],
)
def test_usage_is_one_line(answer: Any, words: str, said: str) -> None:
    """What cannot be done is said in one line on stderr, with exit code 2."""
    answer(report())
    done = run("check", "ckpt", *words.split())
    assert done.stderr.startswith(said)
    assert done.stderr.count("\n") == 1
    assert (done.stdout, done.exit_code) == ("", 2)


def test_clicks_own_usage_errors() -> None:
    """A misspelt command names the near ones; usage errors are exit code 2."""
    done = run("chek", "ckpt")
    assert "Error: no command 'chek' (nearest: check" in done.stderr
    assert done.exit_code == 2
    assert run("check").exit_code == 2
    assert run("check", "ckpt", "--fail-on", "fatal").exit_code == 2


@pytest.mark.parametrize(
    ("error", "said", "code"),
    [
        (UsageError("ckpt: no such\x1b folder"), "weightlint: ckpt: no such\\x1b folder\n", 2),
        (
            KeyError("x"),
            "weightlint: internal error: KeyError: 'x' (WEIGHTLINT_DEBUG=1 shows the traceback)\n",
            2,
        ),
        (PermissionError(13, "Permission denied", "f"), "weightlint: f: Permission denied\n", 2),
        (KeyboardInterrupt(), "weightlint: interrupted\n", 130),
        (BrokenPipeError(32, "Broken pipe"), "", 141),
    ],
)
def test_errors_have_no_traceback(answer: Any, error: BaseException, said: str, code: int) -> None:
    """Every end has its code and at most one line."""
    answer(error)
    done = run("check", "ckpt")
    assert (done.stderr.removeprefix("\n"), done.exit_code) == (said, code)


def test_debug_shows_the_traceback(answer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """WEIGHTLINT_DEBUG=1 adds the traceback and changes nothing else."""
    monkeypatch.setenv("WEIGHTLINT_DEBUG", "1")
    answer(KeyError("x"))
    done = run("check", "ckpt")
    assert done.stderr.startswith("Traceback (most recent call last):\n")
    assert done.stderr.endswith("internal error: KeyError: 'x' (WEIGHTLINT_DEBUG=1 shows the traceback)\n")
    assert done.exit_code == 2


def test_several_formats(answer: Any) -> None:
    """Each format may have a file; --output is for the last one; `-` is standard output."""
    answer(report())
    done = run("check", "ckpt", "--format", "json=r.json", "--format", "text")
    assert done.stdout == CLEAN
    assert json.loads(Path("r.json").read_text())["arch"] == "llama"
    done = run("check", "ckpt", "--format=json=-", "--format=text", "--output=r.txt")
    assert json.loads(done.stdout)["arch"] == "llama"
    assert Path("r.txt").read_text() == CLEAN
    assert run("check", "ckpt", "--output", "-").stdout == CLEAN


def test_half_a_report_is_removed(answer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fills up while the report is written leaves no file behind."""

    class Full(io.StringIO):
        def write(self, text: str, /) -> int:
            raise OSError(28, f"No space left on device after {len(text) // 2} of {len(text)}")

    def full(self: Path, *_: object, **__: object) -> Full:
        self.touch()
        return Full()

    answer(report())
    monkeypatch.setattr(Path, "open", full)
    done = run("check", "ckpt", "--output", "r.txt")
    assert done.stderr.startswith("weightlint: cannot write the report to r.txt: No space left")
    assert done.exit_code == 2
    assert not Path("r.txt").exists()


def test_settings_count_and_the_command_line_wins(answer: Any) -> None:
    """Settings of the current folder, unless overridden, named or switched off."""
    asked = answer(report(finding(Level.WARNING)))
    Path("weightlint.toml").write_text('arch = "llama"\nignore = "WL206"\nfail-on = "warning"\n')
    Path("other.toml").write_text('arch = "mixtral"\n')
    assert run("check", "ckpt").exit_code == 1
    assert run("check", "ckpt", "--arch", "gpt_neox", "--fail-on", "error").exit_code == 0
    assert run("check", "ckpt", "--settings", "other.toml").exit_code == 0
    assert run("check", "ckpt", "--no-settings").exit_code == 0
    seen = [(options["arch"], options["ignore"]) for _, options in asked]
    assert seen == [("llama", ("WL206",)), ("gpt_neox", ("WL206",)), ("mixtral", ()), (None, ())]


def test_a_schema_file_sets_the_arch_of_settings_aside(answer: Any) -> None:
    """--schema on the command line wins over arch in the settings."""
    asked = answer(report())
    Path("weightlint.toml").write_text('arch = "llama"\n')
    assert run("check", "ckpt", "--schema", "mine.toml").exit_code == 0
    assert (asked[0][1]["arch"], asked[0][1]["schema"]) == (None, "mine.toml")


def test_a_checkpoint_cannot_silence_itself(answer: Any) -> None:
    """Settings inside the folder that is checked are named and not read."""
    asked = answer(report())
    Path("weightlint.toml").write_text('ignore = "WL"\n')
    done = run("check", ".")
    assert asked[0][1]["ignore"] == ()
    assert done.stdout == CLEAN
    assert "weightlint.toml lies inside the checkpoint and is not read" in done.stderr


def test_help_names_the_exit_codes_and_the_commands() -> None:
    """What the codes mean stands in the help, and every command."""
    text = run("check", "--help").output
    assert "3  nothing could be read or checked" in text
    commands = run("--help").output
    for name in (
        "check",
        "inspect",
        "snapshot",
        "synth",
        "schema",
        "list",
        "explain",
        "completion",
    ):
        assert f"\n  {name} " in commands


@pytest.mark.parametrize(
    "limit",
    [
        f"{safetensors.MAX_HEADER:,} bytes",
        f"rank {header_faults.MAX_RANK}, name {header_faults.MAX_NAME:,} bytes",
        f"{weight_map.MAX_BYTES >> 30} GB",
        f"{strict_json.MAX_DEPTH} levels of nesting",
        f"{scope.MAX_LAYERS:,} layers",
        f"{scope.MAX_AXIS:,} of any other axis",
        f"{expansion.MAX_TENSORS:,} tensors",
        f"snapshot            {snapshot.MAX_TENSORS:,} tensors",
        f"{verdict.MAX_FINDINGS:,} of one rule",
    ],
)
def test_the_limits_in_the_help_are_those_of_the_rooms(limit: str) -> None:
    """Who changes a limit is told to change the help."""
    assert limit in run("check", "--help").output


def test_list_and_explain_cover_every_rule() -> None:
    """`explain` prints the page of each rule that `list rules` shows, by code and by name."""
    lines = run("list", "rules").output.splitlines()
    assert len(lines) == len(api.RULES)
    for line in lines:
        code, name, level = line.split()[:3]
        text = run("explain", code.lower()).output
        assert text.startswith(f"{code} {name}  {level}  since ")
        assert all(f"\n{heading}:" in text for heading in HEADINGS)
        assert run("explain", name).output == text


def test_explain_names_the_nearest() -> None:
    """An unknown rule is a usage error."""
    done = run("explain", "torn-fil")
    assert done.stderr.startswith("weightlint: no rule 'torn-fil' (nearest: torn-file")
    assert done.exit_code == 2


def test_list_comes_from_the_drawers() -> None:
    """Each kind is listed, variants (`gguf:whole`) below their item; a kind without items says so."""
    kinds = {line.split()[0]: int(line.split()[1]) for line in run("list").output.splitlines()}
    assert kinds["rules"] == len(api.RULES)
    assert kinds["schemas"] == len(schema.every())
    for kind, count in kinds.items():
        done = run("list", kind)
        assert done.exit_code == 0
        items = [line for line in done.stdout.splitlines() if ":" not in line.split()[0]]
        assert len(items) == count
        assert (done.stderr == f"no {kind} in this version\n") is (count == 0)
    assert run("list", "rule").exit_code == 2


def test_schema_commands() -> None:
    """Every bundled schema is listed, shown as its file, and valid."""
    listed = run("schema", "list").output
    for name in schema.every():
        assert f"\n{name} " in f"\n{listed}"
    name = schema.every()[0]
    assert run("schema", "show", name).output == schema.path(name).read_text()
    done = run("schema", "check", str(schema.path(name)))
    assert (done.output, done.exit_code) == (f"{schema.path(name)}: a valid schema\n", 0)
    Path("bad.toml").write_text('name = "bad"\nunknown = 1\n')
    done = run("schema", "check", "bad.toml")
    assert "bad.toml: " in done.output
    assert "unknown" in done.output
    assert done.exit_code == 1
    assert run("schema", "show", "deepsek_v3").exit_code == 2


def test_inspect(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line per family, columns aligned, and the totals last."""
    families = (
        api.Family("lm_head.weight", 1, "BF16", "[32000, 4096]", 262_144_000),
        api.Family("model.layers.{0..31}.\x1b.weight", 32, "F32", "[4096]", 524_288),
    )
    facts = Facts(target="ckpt", arch="llama", tensors=33, files=2, bytes=262_669_000)
    monkeypatch.setattr(api, "inspect", lambda _, **__: api.Inspection(facts, families))
    assert run("inspect", "ckpt").output == (
        "tensors  dtype  shape                bytes  family\n"
        "      1  BF16   [32000, 4096]  262,144,000  lm_head.weight\n"
        "     32  F32    [4096]             524,288  model.layers.{0..31}.\\x1b.weight\n"
        "33 tensors in 2 files, 262,669,000 bytes; llama\n"
    )
    document = json.loads(run("inspect", "--json", "ckpt").output)
    assert document["families"][0] == {
        "pattern": "lm_head.weight",
        "count": 1,
        "dtype": "BF16",
        "shape": "[32000, 4096]",
        "bytes": 262_144_000,
        "bits": None,
    }
    monkeypatch.setattr(api, "inspect", lambda _, **__: api.Inspection(Facts(target="ckpt"), ()))
    assert run("inspect", "ckpt").exit_code == 3


def test_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    """The size of what was written is said; a place is required."""
    monkeypatch.setattr(api, "snapshot", lambda target, output: len(target + output) * 1000)
    assert run("snapshot", "ckpt", "-o", "x.json.gz").output == "x.json.gz: 13,000 bytes\n"
    assert run("snapshot", "ckpt").exit_code == 2


def test_synth_inspect_snapshot_check(tmp_path: Path) -> None:
    """The commands work together on a real, tiny checkpoint and on its snapshot."""
    name = "deepseek_v3"
    assert run("synth", "--arch", name, "--tiny", "made").exit_code == 0
    assert name in run("inspect", "made").output
    assert run("snapshot", "made", "-o", "made.json.gz").exit_code == 0
    for target in ("made", "made.json.gz"):
        done = run("check", target)
        assert f" checked against {name} " in done.stdout
        assert done.stdout.endswith(": no findings\n")
        assert done.exit_code == 0
    shard = next((tmp_path / "made").glob("*.safetensors"))
    os.truncate(shard, shard.stat().st_size - 1)
    done = run("check", "made")
    assert done.stdout.startswith("WL102 torn-file  error  ")
    assert done.exit_code == 1


def test_version_and_module_entry() -> None:
    """The program and `python -m weightlint` are one."""
    done = process("--version", stdout=subprocess.PIPE)
    assert (done.stdout, done.stderr, done.returncode) == ("weightlint 0.1.0\n", "", 0)


@pytest.mark.parametrize("words", [("--help",), ("check", "--help"), ("list", "rules")])
def test_closed_pipe_is_quiet(words: tuple[str, ...]) -> None:
    """When the reader has gone the program leaves as a signal would, without a word."""
    read, write = os.pipe()
    os.close(read)
    done = process(*words, stdout=write)
    os.close(write)
    assert (done.stderr, done.returncode) == ("", 141)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_full_disk_is_one_line() -> None:
    """A report that cannot be written is never exit code 0 or 1."""
    with Path("/dev/full").open("w") as full:
        done = process("list", "rules", stdout=full)
    assert (done.stderr, done.returncode) == ("weightlint: No space left on device\n", 2)


def test_a_locale_that_cannot_spell_a_name() -> None:
    """Characters that standard output cannot encode are escaped."""
    env = {"PYTHONIOENCODING": "latin-1:strict", "PYTHONUTF8": "0"}
    done = process("schema", "check", "\u6a21.toml", stdout=subprocess.PIPE, env=env)
    assert r"\u6a21.toml: " in done.stdout
    assert (done.stderr, done.returncode) == ("", 1)


def completed(line: str, start: str) -> list[str]:
    """Return what the shell is offered for a word that begins with `start`."""
    words = f"weightlint {line} {start}".rstrip()
    env = {
        "_WEIGHTLINT_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(f"weightlint {line}".split())),
    }
    result = CliRunner().invoke(app, [], env=env, prog_name="weightlint")
    return [offer.removeprefix("plain,") for offer in result.output.splitlines()]


def test_completion_of_words() -> None:
    """Commands, architectures, rules (after a comma too) and formats complete."""
    assert completed("", "ch") == ["check"]
    assert completed("check ckpt --arch", "deepseek_v3") == [
        name for name in schema.every() if name.startswith("deepseek_v3")
    ]
    assert completed("check ckpt --select", "WL201,WL10") == [
        f"WL201,{rule.code}" for rule in api.RULES.values() if rule.code.startswith("WL10")
    ]
    assert completed("explain", "missing-t") == ["missing-tensor"]
    assert completed("check ckpt --format", "j") == ["json"]
    assert completed("check ckpt --loader", "vl") == ["vllm"]
    assert completed("plan ckpt --loader", "vllm@0.8") == ["vllm@0.8.4"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str) -> None:
    """Each shell gets a script that asks this program."""
    done = run("completion", shell)
    assert f"_WEIGHTLINT_COMPLETE={shell}_complete" in done.output
    assert done.exit_code == 0
    assert run("completion", "tcsh").exit_code == 2


def test_settings_levels_are_the_levels() -> None:
    """Settings, the command line and the report know the same levels."""
    assert tuple(str(level) for level in sorted(Level)) == settings.LEVELS
    assert "[info|warning|error]" in run("check", "--help").output


def test_synth_reports_what_it_wrote(monkeypatch: pytest.MonkeyPatch) -> None:
    """Options reach the room that writes."""
    asked: list[Any] = []

    def made(out: str, **options: object) -> Any:
        asked.append((out, options))
        return SimpleNamespace(tensors=91_991, files=163, bytes=688_586_727_753)

    monkeypatch.setitem(sys.modules, "weightlint.synth", SimpleNamespace(synth=made))
    monkeypatch.setattr(weightlint, "synth", SimpleNamespace(synth=made), raising=False)
    done = run("synth", "out", "--arch", "llama", "--config", "c.json")
    assert done.output == "out: 91,991 tensors in 163 files, 688,586,727,753 bytes\n"
    assert run("synth", "out", "--arch", "llama", "--tiny").exit_code == 0
    assert asked == [
        ("out", {"arch": "llama", "config": "c.json", "tiny": False}),
        ("out", {"arch": "llama", "config": None, "tiny": True}),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, ": No such file or directory"),
        ("[1]", " cannot be read: a JSON list where an object is needed"),
        ("{", " cannot be read: Expecting property name"),
        ("[" * 100_000, " cannot be read: nested too deeply"),
    ],
)
def test_synth_refuses_what_is_no_config(text: str | None, said: str) -> None:
    """The file is named in one line."""
    if text is not None:
        Path("c.json").write_text(text)
    done = run("synth", "out", "--arch", "llama", "--config", "c.json")
    assert done.stderr.startswith(f"weightlint: c.json{said}")
    assert (done.stderr.count("\n"), done.exit_code) == (1, 2)
    assert not Path("out").exists()
