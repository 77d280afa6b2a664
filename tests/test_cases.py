"""Cases as data: each folder of `cases/` is a recipe and the exact text that a user sees.

A recipe names a config, other sizes of it, edits, how it is to run, a plan in full and, by hand, the codes that must come
out (none for a clean case). With `bytes` its files are filled with plausible numbers, damaged as it says and verified.
"""

from __future__ import annotations

import io
import json
import re
import tomllib
from contextlib import chdir
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from filling import fill, put
from recipes import write

from weightlint import plan_file
from weightlint.api import RULES, check, manifest, verify
from weightlint.drawer import Drawer

if TYPE_CHECKING:
    from weightlint.finding import Report

CASES = sorted(path.name for path in (Path(__file__).parent / "cases").iterdir())


def recipe(name: str) -> dict[str, Any]:
    return tomllib.loads((Path(__file__).parent / "cases" / name / "recipe.toml").read_text())


def run(name: str, folder: Path) -> tuple[list[str], str]:
    asked = recipe(name)
    write(asked, folder / "ckpt")
    running = dict(asked.get("running", {}))
    if "plan" in asked:
        (folder / "plan.json").write_text(json.dumps(asked["plan"]))
        running["plan"] = plan_file.read(str(folder / "plan.json"))
    if "bytes" in asked:
        report = verified(asked, folder / "ckpt", running)
    else:
        report = check(
            str(folder / "ckpt" / asked.get("target", "")),
            arch=asked.get("given"),
            dialect=asked.get("wanted"),
            **running,
        )
    stream = io.StringIO()
    Drawer[Any]("outputs", "OUTPUT")["text"](report, stream)
    text = stream.getvalue().replace(str(folder) + "/", "")
    return [finding.code for finding in report.findings], re.sub(
        r"[\d.]+ [kMG]?B$", "SIZE", text, flags=re.MULTILINE
    )


def verified(asked: dict[str, Any], folder: Path, running: dict[str, Any]) -> Report:
    """Fill, damage and verify a checkpoint, against a manifest of its sound state if the recipe wants one."""
    fill(folder)
    if asked.get("manifest"):
        (folder / "manifest.json").write_text(manifest(str(folder)))
        running["manifest"] = f"{folder.name}/manifest.json"
    for edit in asked["bytes"]:
        put(folder, edit)
    # lines are broken where a name ends, so names must not depend on where the test runs
    with chdir(folder.parent):
        return verify(folder.name, **running)


@pytest.mark.parametrize("name", CASES)
def test_case(name: str, tmp_path: Path) -> None:
    codes, text = run(name, tmp_path)
    assert codes == recipe(name)["codes"]
    assert text == (Path(__file__).parent / "cases" / name / "expected.txt").read_text()


def test_every_rule_has_a_bad_and_a_clean_case() -> None:
    bad = {code for name in CASES for code in recipe(name)["codes"]}
    clean = {recipe(name)["near"] for name in CASES if "near" in recipe(name)}
    codes = {rule.code for rule in RULES.values()} - {"WL000"}
    assert codes - bad == set()
    assert codes - clean == set()
