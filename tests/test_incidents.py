"""Failures that people met in public, each rebuilt as small as it goes.

A file of `incidents/` covers one or more issues of one rule. Each of its cases is a recipe (recipes.py), the
options of `check`, a plan where it is more than degrees, the codes that must come out (none for what must stay
silent) and words of the messages.
`not_built.toml` lists the issues that no checkpoint of ours can show, with the reason.
"""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from recipes import write

from weightlint import plan_file
from weightlint.api import check

FOLDER = Path(__file__).parent / "incidents"
NOT_BUILT = FOLDER / "not_built.toml"
CORPUS = Path(__file__).parents[2] / "shared" / "data" / "failures.jsonl"
RULES = ("WL2", "WL3", "WL4", "WL5", "WL6", "none")


class Line(NamedTuple):
    """One line of the corpus; one issue may stand in several, each under a rule of its own."""

    issue: str
    rule: str


def incidents() -> dict[str, dict[str, Any]]:
    return {
        file.stem: tomllib.loads(file.read_text())
        for file in sorted(FOLDER.glob("*.toml"))
        if file != NOT_BUILT
    }


INCIDENTS = incidents()
CASES = [(name, at) for name, incident in INCIDENTS.items() for at in range(len(incident["case"]))]


@pytest.mark.parametrize(("name", "at"), CASES, ids=[f"{name}-{at}" for name, at in CASES])
def test_incident(name: str, at: int, tmp_path: Path) -> None:
    asked = INCIDENTS[name]["case"][at]
    write(asked, tmp_path / "ckpt")
    options: dict[str, Any] = {
        key: str(tmp_path / "ckpt" / value) if key == "config" else value
        for key, value in asked.get("check", {}).items()
    }
    if "plan" in asked:
        (tmp_path / "plan.json").write_text(json.dumps(asked["plan"]))
        options["plan"] = plan_file.read(str(tmp_path / "plan.json"))
    report = check(str(tmp_path / "ckpt" / asked.get("target", "")), **options)
    said = [f"{it.code} {it.message}; {it.expected}; {it.found}; {it.cure}" for it in report.findings]
    assert [finding.code for finding in report.findings] == asked["codes"], said
    text = "\n".join([*said, *(name for it in report.findings for name in it.place.tensors)])
    for word in asked.get("words", ()):
        assert word in text


def covered() -> list[Line]:
    return [Line(issue, incident["rule"]) for incident in INCIDENTS.values() for issue in incident["issues"]]


def not_built() -> list[Line]:
    table = tomllib.loads(NOT_BUILT.read_text())
    return [Line(issue, each["rule"]) for each in table["reason"] for issue in each["issues"]]


def test_no_issue_is_told_twice() -> None:
    assert [line for line, times in Counter(covered() + not_built()).items() if times > 1] == []


def test_every_reason_is_given() -> None:
    assert all(each["why"].strip() for each in tomllib.loads(NOT_BUILT.read_text())["reason"])


@pytest.mark.skipif(not CORPUS.exists(), reason="the corpus of failures is not here")
def test_every_line_of_the_corpus_is_built_or_has_a_reason() -> None:
    rows = map(json.loads, CORPUS.read_text().splitlines())
    lines = {Line(row["id"], row["rule"]) for row in rows if row["rule"].startswith(RULES)}
    assert set(covered()) | set(not_built()) == lines
