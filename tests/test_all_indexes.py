"""All entries of the shared indexes, each judged as the shared real-indexes.md says: `indexes.toml` has what is expected."""

from __future__ import annotations

import importlib.util
import json
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from weightlint.api import QUANTS, check
from weightlint.formats import snapshot

if TYPE_CHECKING:
    from weightlint.finding import Report

ROOT = Path(__file__).parents[1]
INDEXES = ROOT.parent / "shared" / "data" / "indexes"
TABLE = tomllib.loads((Path(__file__).parent / "indexes.toml").read_text())
SOUND: dict[str, str] = TABLE["sound"]
WAITS: dict[str, str] = TABLE["waits"]
DEFECTS: list[dict[str, Any]] = TABLE["defect"]
# their tensors are judged with the keys of their models in test_gguf_listings.py
GGUF = "gguf-"
# a slice of one layer, and a listing that was read in part
PARTIAL = {"deepseek-r1-0528-nvfp4-layer0", "mimo-v2.5-partial-listing"}

beside = pytest.mark.skipif(not INDEXES.is_dir(), reason="the indexes are not beside the project")


def _recorder() -> Any:
    """Load the script that folds listings into fixtures."""
    spec = importlib.util.spec_from_file_location("record", ROOT / "fixtures" / "record.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


record = _recorder()


def slugs() -> list[str]:
    return sorted(folder.name for folder in INDEXES.iterdir()) if INDEXES.is_dir() else []


def judged(slug: str, tmp_path: Path) -> Report:
    """Check an index file where it is, or a listing with its config as a snapshot."""
    if slug in WAITS and WAITS[slug] not in QUANTS:
        pytest.skip(f"no quant {WAITS[slug]} yet")
    folder = INDEXES / slug
    if (folder / "tensors.compact.txt").is_file():
        path = tmp_path / f"{slug}.json"
        path.write_text(json.dumps({"origin": slug, **snapshot.describe(record.listed(folder))}))
    else:
        path = next(file for file in folder.glob("*.json") if ".index" in file.name)
    config = tmp_path / "config.json"
    if not (folder / "config.json").is_file() and slug in record.LACKING:
        config.write_bytes(record.config(folder))
    return check(str(path), config=str(config) if config.is_file() else None)


@beside
@pytest.mark.parametrize("slug", SOUND)
def test_sound_ones_are_silent(slug: str, tmp_path: Path) -> None:
    report = judged(slug, tmp_path)
    assert [(finding.code, finding.message) for finding in report.findings] == []
    assert report.facts.arch == SOUND[slug]
    assert report.facts.checked == report.facts.tensors > 0


@beside
@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect["slug"])
def test_defects_are_found(defect: dict[str, Any], tmp_path: Path) -> None:
    report = judged(defect["slug"], tmp_path)
    assert {finding.code for finding in report.findings} == {*defect["codes"]}
    assert any(defect["says"] in finding.message for finding in report.findings)


@beside
@pytest.mark.parametrize(
    "slug",
    [it for it in slugs() if it not in SOUND and it not in {defect["slug"] for defect in DEFECTS}],
)
def test_others_are_read_and_said_to_be_unknown(slug: str, tmp_path: Path) -> None:
    if slug.startswith(GGUF) or slug in PARTIAL:
        pytest.skip("judged elsewhere" if slug.startswith(GGUF) else "not a whole checkpoint")
    report = judged(slug, tmp_path)
    assert [(finding.code, finding.message) for finding in report.findings] == []
    assert report.facts.tensors > 0
    assert report.facts.arch is None
    assert any("no schema for the architecture of the config" in skip.why for skip in report.skips)


@beside
def test_no_entry_is_left_out() -> None:
    assert len(slugs()) == 100
    assert {*SOUND, *(defect["slug"] for defect in DEFECTS)} <= {*slugs()}


SNAPSHOTS = sorted((ROOT / "fixtures" / "indexes").glob("*.json"))


@pytest.mark.parametrize("path", SNAPSHOTS, ids=lambda path: path.stem)
def test_no_rule_breaks_down_over_a_plan(path: Path) -> None:
    for loader, plan in (("vllm", "tp=8,pp=2"), ("sglang", "tp=4,ep=4"), ("mlx", None)):
        report = check(str(path), loader=loader, plan=plan)
        assert [finding.message for finding in report.findings if finding.code == "WL000"] == []
