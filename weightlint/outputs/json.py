"""Report as JSON, version 1: the machine's form, described by `schemas/_meta/report.schema.json`.

Nothing is cut or folded here, and every character outside ASCII is escaped, so that no text from a
checkpoint can pass for something else.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TextIO

from weightlint.finding import Level

if TYPE_CHECKING:
    from weightlint.finding import Finding, Output, Report

VERSION = 1
PAGE = "README.md"
"""Document with one anchor per rule code, relative to the project."""


def write(report: Report, stream: TextIO) -> None:
    """Write a report as one JSON object with two spaces of indent."""
    text = json.dumps(document(report), indent=2, ensure_ascii=True, allow_nan=False)
    # DEL is ASCII, but a terminal acts on it; in JSON text it can only stand inside a string.
    stream.write(text.replace("\x7f", "\\u007f") + "\n")


def document(report: Report) -> dict[str, Any]:
    """Return a report as plain data; sizes in bytes, time in seconds."""
    facts = report.facts
    return {
        "version": VERSION,
        "weightlint": report.version,
        "target": facts.target,
        "arch": facts.arch,
        "dialect": facts.dialect,
        "quant": facts.quant,
        "loader": facts.loader,
        "plan": facts.plan,
        "summary": _summary(report),
        "findings": [_finding(finding) for finding in report.findings],
        "skipped": [{"code": skip.code, "why": skip.why} for skip in report.skips],
        **_of_bytes(report),
    }


def _of_bytes(report: Report) -> dict[str, Any]:
    """Return what only a report on bytes has."""
    if not report.facts.read:
        return {}
    table: dict[str, Any] = {"complete": report.facts.complete, "notes": [*report.notes]}
    if report.profile is not None:
        table["profile"] = asdict(report.profile)
    return table


def _summary(report: Report) -> dict[str, int | float]:
    facts = report.facts
    return {
        "tensors": facts.tensors,
        "checked": facts.checked,
        "files": facts.files,
        "bytes": facts.bytes,
        "errors": report.count(Level.ERROR),
        "warnings": report.count(Level.WARNING),
        "infos": report.count(Level.INFO),
        "seconds": round(facts.seconds, 3),
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "code": finding.code,
        "rule": finding.rule,
        "level": str(finding.level),
        "message": finding.message,
        "count": finding.count,
        "tensors": [*finding.place.tensors],
        "files": [*finding.place.files],
        "ranks": [*finding.place.ranks],
        "expected": finding.expected,
        "found": finding.found,
        "cure": finding.cure,
        "url": f"{PAGE}#{finding.code.lower()}",
    }


OUTPUT: Output = write
