"""Outputs: exact text for people, exact JSON for machines, nothing from a file unescaped."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from weightlint.drawer import Drawer
from weightlint.finding import Facts, Finding, Level, Output, Place, Report, Skip
from weightlint.outputs.text import Look, lines, size_of

OUTPUTS: Drawer[Output] = Drawer("outputs", "OUTPUT")
META = Path(__file__).parents[1] / "schemas" / "_meta" / "report.schema.json"

V3 = Facts(
    target="DeepSeek-V3",
    arch="deepseek_v3",
    dialect="hf",
    quant="fp8_block",
    tensors=91_991,
    checked=91_991,
    files=163,
    bytes=688_586_727_753,
    seconds=0.31449,
)

MISSING = Finding(
    code="WL201",
    rule="missing-tensor",
    level=Level.ERROR,
    message="gate_proj and up_proj are complete, down_proj is not there",
    place=Place(
        tensors=("model.layers.{3..60}.mlp.experts.{0..255}.down_proj.weight",),
        files=tuple(f"model-{at:05}-of-00163.safetensors" for at in range(1, 6)),
    ),
    count=14_848,
    expected="BF16 or F8_E4M3 [7168, 2048] = [hidden_size, moe_intermediate_size]",
    found="none",
    cure="download the named files again",
)

ALIAS = Finding(
    code="WL202",
    rule="unexpected-tensor",
    level=Level.WARNING,
    message="not known to this architecture",
    place=Place(tensors=("model.extra",)),
    cure="remove it",
)

EVIL = "w\x1b[31m\u202eevil\n\u2028\x9b\ud800\x7f"
"""A colour, a turn of direction, line ends, a C1 control, half a pair and DEL."""


def report(*findings: Finding, facts: Facts = V3, skips: tuple[Skip, ...] = ()) -> Report:
    """Return a report of version 0.1.0."""
    return Report(findings=findings, skips=skips, facts=facts, version="0.1.0")


def shown(name: str, made: Report) -> str:
    """Return what an output writes into a plain stream."""
    stream = io.StringIO()
    OUTPUTS[name](made, stream)
    return stream.getvalue()


def as_json(made: Report) -> dict[str, Any]:
    """Return the JSON form, valid against the bundled JSON Schema."""
    document: dict[str, Any] = json.loads(shown("json", made))
    meta = json.loads(META.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(meta)
    jsonschema.Draft202012Validator(meta).validate(document)
    return document


def test_a_clean_checkpoint_is_one_line() -> None:
    """Counts, schema, quant, files and size, and that nothing was found."""
    assert shown("text", report()) == (
        "91,991 of 91,991 tensors checked against deepseek_v3 (fp8_block) in 163 files, 688.6 GB: "
        "no findings\n"
    )


def test_a_finding_is_one_paragraph() -> None:
    """Head, message, pattern, files, contrast, cure; then the summary."""
    assert shown("text", report(MISSING, ALIAS)) == (
        "WL201 missing-tensor  error  14,848 tensors\n"
        "  gate_proj and up_proj are complete, down_proj is not there\n"
        "  model.layers.{3..60}.mlp.experts.{0..255}.down_proj.weight\n"
        "  in model-00001-of-00163.safetensors, model-00002-of-00163.safetensors,\n"
        "    model-00003-of-00163.safetensors and 2 more files\n"
        "  expected BF16 or F8_E4M3 [7168, 2048] = [hidden_size, moe_intermediate_size]; found none\n"
        "  cure: download the named files again\n"
        "\n"
        "WL202 unexpected-tensor  warning  1 tensor\n"
        "  not known to this architecture\n"
        "  model.extra\n"
        "  cure: remove it\n"
        "\n"
        "1 error, 1 warning; 91,991 of 91,991 tensors checked against deepseek_v3 (fp8_block) "
        "in 163 files, 688.6 GB\n"
    )


@pytest.mark.parametrize(
    ("count", "tail"),
    [
        (6, "  t5\n  cure: "),
        (7, "  t5\n  and 1 more pattern (--format json lists all)\n  cure: "),
        (9, "  t5\n  and 3 more patterns (--format json lists all)\n  cure: "),
    ],
)
def test_six_patterns_are_shown(count: int, tail: str) -> None:
    """The rest is counted, and the way to all of them is named."""
    names = tuple(f"t{at}" for at in range(count))
    finding = Finding(
        code="WL201", rule="r", level=Level.ERROR, message="m", place=Place(tensors=names), cure="c"
    )
    assert tail in shown("text", report(finding))


@pytest.mark.parametrize(
    ("message", "shown_below"),
    [
        ("model.norm.weight is transposed", False),
        ("transposed: model.norm.weight, in a.safetensors", False),
        ("model.norm.weight_scale is transposed", True),
        ("a tensor is transposed", True),
    ],
)
def test_a_name_that_the_message_gives_is_not_repeated(message: str, *, shown_below: bool) -> None:
    """Only a whole word counts as the name."""
    place = Place(tensors=("model.norm.weight",))
    finding = Finding(code="WL301", rule="r", level=Level.ERROR, message=message, place=place, cure="c")
    assert ("  model.norm.weight\n" in shown("text", report(finding))) is shown_below


def test_ten_findings_of_one_rule_are_shown() -> None:
    """A defect of any size stays within a screen or two, and the summary counts all."""
    text = shown("text", report(*[MISSING] * 12, ALIAS))
    assert text.count("WL201 missing-tensor  error") == 10
    assert "\nand 2 more WL201 missing-tensor (--format json lists all)\n" in text
    assert "\n12 errors, 1 warning; " in text


def test_skipped_rules_are_grouped_by_reason() -> None:
    """One line for each reason, in the order in which the reasons first appear."""
    skips = (Skip("WL302", "no config"), Skip("WL501", "no plan given"), Skip("WL301", "no config"))
    assert shown("text", report(skips=skips)).splitlines()[1:] == [
        "skipped WL301 WL302: no config",
        "skipped WL501: no plan given",
    ]


@pytest.mark.parametrize(
    ("facts", "line"),
    [
        (Facts(target="x"), "nothing was checked: no tensors found"),
        (Facts(target="x", tensors=3, files=1), "nothing was checked: 3 tensors found in 1 file"),
        (
            Facts(target="x", tensors=2, checked=2, files=1, bytes=12),
            "2 of 2 tensors checked without a schema in 1 file, 12 bytes: no findings",
        ),
        (
            Facts(target="x", arch="llama", dialect="mlx", tensors=2, checked=1, files=2),
            "1 of 2 tensors checked against llama (mlx) in 2 files: no findings",
        ),
    ],
)
def test_the_summary_never_calls_the_unchecked_clean(facts: Facts, line: str) -> None:
    """`no findings` stands only where tensors were checked."""
    assert shown("text", report(facts=facts)) == line + "\n"


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_960, "1.0 MB"),
        (688_586_727_753, "688.6 GB"),
        (2 * 10**12, "2.0 TB"),
    ],
)
def test_sizes_are_decimal(count: int, text: str) -> None:
    """As disks and hubs count, with no `1000.0` at the edges."""
    assert size_of(count) == text


def test_lines_keep_the_width_and_names_stay_whole() -> None:
    """Prose is broken at blanks; a name may be wider than the page, never cut in two."""
    name = "model.layers.{3..60}.mlp.experts.{0..255}.down_proj.weight"
    finding = Finding(
        code="WL201",
        rule="missing-tensor",
        level=Level.ERROR,
        message=f"{'many words ' * 9}and {name} within them",
        cure="again " * 20,
    )
    out = [*lines(report(finding), Look(width=50))][:-1]
    assert all(len(line) <= 50 for line in out if name not in line)
    assert any(name in line for line in out)


def evil_report() -> Report:
    """Return a report in which every text that may come from a file is hostile."""
    finding = Finding(
        code="WL202",
        rule="unexpected-tensor",
        level=Level.INFO,
        message=EVIL,
        place=Place(tensors=(EVIL,), files=(EVIL,), ranks=(EVIL,)),
        expected=EVIL,
        found=EVIL,
        cure=EVIL,
    )
    facts = Facts(target=EVIL, arch=EVIL, dialect=EVIL, quant=EVIL, loader=EVIL, checked=1)
    return report(finding, facts=facts, skips=(Skip("WL301", EVIL),))


@pytest.mark.parametrize("name", [*OUTPUTS])
def test_no_control_character_reaches_a_terminal(name: str) -> None:
    """In no format: no escape, no bidi mark, no line end but our own."""
    text = shown(name, evil_report())
    assert "evil" in text
    assert {char for char in text if not char.isprintable()} == {"\n"}
    assert text.encode("utf-8")


def test_a_long_text_is_cut_and_counted() -> None:
    """A name of a megabyte does not fill the screen."""
    finding = Finding(
        code="WL202",
        rule="unexpected-tensor",
        level=Level.INFO,
        message="m",
        place=Place(tensors=("x" * 10**6,)),
        cure="c",
    )
    text = shown("text", report(finding))
    assert len(text) < 1000
    assert "xxx... (1,000,000 characters)\n" in text


class Terminal(io.StringIO):
    """A stream that says it is a terminal, but has no window to measure."""

    def isatty(self) -> bool:
        """Return True."""
        return True


class Captured:
    """Whether an output that goes to a given stream is coloured, under some environment."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
        for name in ("NO_COLOR", "FORCE_COLOR"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("TERM", "xterm")
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        self.monkeypatch = monkeypatch

    def coloured(self, stream: io.StringIO) -> bool:
        """Write a report to a stream and look for an escape."""
        self.monkeypatch.setattr("sys.stdout", stream)
        OUTPUTS["text"](report(MISSING), stream)
        return "\x1b[" in stream.getvalue()


@pytest.mark.parametrize(
    ("environment", "on_terminal", "in_pipe"),
    [
        ({}, True, False),
        ({"NO_COLOR": "1"}, False, False),
        ({"NO_COLOR": ""}, True, False),
        ({"FORCE_COLOR": "1"}, True, True),
        ({"FORCE_COLOR": "0"}, True, False),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False, False),
        ({"TERM": "dumb"}, False, False),
    ],
)
def test_colour_is_for_terminals(
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    *,
    on_terminal: bool,
    in_pipe: bool,
) -> None:
    """As no-color.org and force-color.org ask for."""
    asked = Captured(monkeypatch, environment)
    assert asked.coloured(Terminal()) is on_terminal
    assert asked.coloured(io.StringIO()) is in_pipe


def test_forced_colour_does_not_reach_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what goes to standard output is seen by people."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[" not in shown("text", report(MISSING))


def test_colour_changes_nothing_but_colour() -> None:
    """Without its escapes a coloured report is the plain one."""
    made = report(MISSING, ALIAS, skips=(Skip("WL501", "no plan given"),))
    coloured = "\n".join(lines(made, Look(colour=True)))
    for style in ("0", "1", "2", "31", "32", "33", "36"):
        coloured = coloured.replace(f"\x1b[{style}m", "")
    assert coloured == "\n".join(lines(made, Look()))


def test_json_is_report_version_1() -> None:
    """Every key of the format, with the values of the report."""
    assert as_json(report(MISSING, ALIAS, skips=(Skip("WL501", "no plan given"),))) == {
        "version": 1,
        "weightlint": "0.1.0",
        "target": "DeepSeek-V3",
        "arch": "deepseek_v3",
        "dialect": "hf",
        "quant": "fp8_block",
        "loader": None,
        "plan": None,
        "summary": {
            "tensors": 91_991,
            "checked": 91_991,
            "files": 163,
            "bytes": 688_586_727_753,
            "errors": 1,
            "warnings": 1,
            "infos": 0,
            "seconds": 0.314,
        },
        "findings": [
            {
                "code": "WL201",
                "rule": "missing-tensor",
                "level": "error",
                "message": "gate_proj and up_proj are complete, down_proj is not there",
                "count": 14_848,
                "tensors": ["model.layers.{3..60}.mlp.experts.{0..255}.down_proj.weight"],
                "files": [
                    "model-00001-of-00163.safetensors",
                    "model-00002-of-00163.safetensors",
                    "model-00003-of-00163.safetensors",
                    "model-00004-of-00163.safetensors",
                    "model-00005-of-00163.safetensors",
                ],
                "ranks": [],
                "expected": "BF16 or F8_E4M3 [7168, 2048] = [hidden_size, moe_intermediate_size]",
                "found": "none",
                "cure": "download the named files again",
                "url": "README.md#wl201",
            },
            {
                "code": "WL202",
                "rule": "unexpected-tensor",
                "level": "warning",
                "message": "not known to this architecture",
                "count": 1,
                "tensors": ["model.extra"],
                "files": [],
                "ranks": [],
                "expected": None,
                "found": None,
                "cure": "remove it",
                "url": "README.md#wl202",
            },
        ],
        "skipped": [{"code": "WL501", "why": "no plan given"}],
    }


def test_json_keeps_a_plan_and_hostile_texts_whole() -> None:
    """Nothing is cut or replaced in the machine's form, only written with escapes."""
    facts = Facts(target="x", loader="vllm@0.8.4", plan={"tp": 8, "pp": 3}, checked=1)
    assert as_json(report(facts=facts))["plan"] == {"tp": 8, "pp": 3}
    evil = as_json(evil_report())
    assert evil["target"] == EVIL
    assert evil["findings"][0]["tensors"] == [EVIL]


def test_json_text_is_indented_ascii() -> None:
    """Two spaces, one line end at the end of the file."""
    text = shown("json", report())
    assert text.startswith('{\n  "version": 1,\n  "weightlint": "0.1.0",\n')
    assert text.endswith('  "skipped": []\n}\n')
    assert shown("json", evil_report()).isascii()


@pytest.mark.parametrize(("where", "key"), [((), "more"), (("summary",), "more"), (("findings", 0), "more")])
def test_the_json_schema_refuses_keys_of_its_own(where: tuple[Any, ...], key: str) -> None:
    """A key that is added without a new version is seen here."""
    document = as_json(report(MISSING))
    inner: Any = document
    for step in where:
        inner = inner[step]
    inner[key] = 1
    with pytest.raises(jsonschema.ValidationError, match="Additional properties"):
        jsonschema.validate(document, json.loads(META.read_text(encoding="utf-8")))
