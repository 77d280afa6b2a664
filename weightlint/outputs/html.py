"""Report as one page of HTML for people: verdict, layers by families as a heat map, findings with their cures.

The page holds all that it needs and asks for nothing: no script, no font, no picture from elsewhere. Every text from
a checkpoint is escaped twice, for people and for HTML, and the page forbids itself whatever could be smuggled in.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, TextIO

from weightlint.finding import counted, printable
from weightlint.outputs._html_heat import lines as heat_lines
from weightlint.outputs._html_style import style
from weightlint.outputs.text import Look, size_of, summary

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from weightlint.finding import Facts, Finding, Output, Report

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
MAX_FINDINGS, MAX_NAMES, MAX_PROSE = 200, 50, 4000
"""Findings and names of one of them that are shown, and characters of a message; the rest is counted."""


def write(report: Report, stream: TextIO) -> None:
    """Write a report as a page."""
    stream.writelines(f"{line}\n" for line in lines(report))


def lines(report: Report) -> Iterator[str]:
    """Yield the lines of the page."""
    title = f"{_text(report.facts.target)} - weightlint"
    yield "<!DOCTYPE html>"
    yield f'<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
    yield f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<style>{style()}</style></head><body>"
    yield from _head(report)
    if report.profile is not None:
        yield from heat_lines(report.profile)
    if report.findings:
        yield "<section><h2>Findings</h2>"
        for finding in report.findings[:MAX_FINDINGS]:
            yield from _finding(finding)
        yield from _more(len(report.findings) - MAX_FINDINGS, "finding")
        yield "</section>"
    yield from _skipped(report)
    yield "</body></html>"


def _head(report: Report) -> Iterator[str]:
    program = f"weightlint {_text(report.version)} {'verify' if report.facts.read else 'check'}"
    yield f"<header><p class=program>{program}</p><h1>{_text(report.facts.target)}</h1>"
    yield f'<p class="verdict {_colour(report)}">{escape(summary(report, Look()))}</p>'
    yield '<div class="facts dim">'
    for name, value in _facts(report.facts):
        yield f"<div><span>{name}</span><b>{_text(value)}</b></div>"
    yield "</div>"
    yield from (f"<p>{_prose(note)}</p>" for note in report.notes)
    yield "</header>"


def _colour(report: Report) -> str:
    if report.findings:
        return str(max(finding.level for finding in report.findings))
    return "clean" if report.facts.checked and report.facts.complete else "warning"


def _facts(facts: Facts) -> Iterator[tuple[str, str]]:
    plan = " ".join(f"{kind}={degree}" for kind, degree in (facts.plan or {}).items())
    named = {
        "architecture": facts.arch,
        "dialect": facts.dialect,
        "quant": facts.quant,
        "loader": facts.loader,
        "plan": plan,
        "tensors": f"{facts.tensors:,}",
        "files": f"{facts.files:,}",
        "size": size_of(facts.bytes) if facts.bytes else "",
        "seconds": f"{facts.seconds:,.1f}",
    }
    yield from ((name, value) for name, value in named.items() if value)


def _finding(finding: Finding) -> Iterator[str]:
    place = finding.place
    yield f'<article class="{finding.level}"><h3>{_text(finding.code)} {_text(finding.rule)} '
    yield f"<span class=level>{finding.level}</span> <span class=dim>{counted(finding.count, finding.unit)}</span></h3>"
    yield f"<p>{_prose(finding.message)}</p>"
    yield from _names(place.tensors, "pattern")
    sides = {
        "files": ", ".join(_some(place.files, "file")),
        "ranks": ", ".join(_some(place.ranks, "rank pattern")),
        "expected": _prose(finding.expected or ""),
        "found": _prose(finding.found or ""),
        "cure": _prose(finding.cure),
    }
    told = (f"<dt>{side}</dt><dd>{text}</dd>" for side, text in sides.items() if text)
    yield f"<dl>{''.join(told)}</dl></article>"


def _names(names: Sequence[str], unit: str) -> Iterator[str]:
    if names:
        yield f"<ul>{''.join(f'<li>{name}</li>' for name in _some(names, unit))}</ul>"


def _some(names: Sequence[str], unit: str) -> Iterator[str]:
    yield from (f"<code>{_text(name)}</code>" for name in names[:MAX_NAMES])
    if len(names) > MAX_NAMES:
        yield f"and {counted(len(names) - MAX_NAMES, f'more {unit}')} (--format json lists all)"


def _more(count: int, unit: str) -> Iterator[str]:
    if count > 0:
        yield f"<p>and {counted(count, f'more {unit}')} (--format json lists all)</p>"


def _skipped(report: Report) -> Iterator[str]:
    if not report.skips:
        return
    codes: dict[str, list[str]] = {}
    for skip in report.skips:
        codes.setdefault(skip.why, []).append(skip.code)
    yield "<section><h2>Not checked</h2><dl>"
    for why, skipped in codes.items():
        yield f"<dt>{_text(' '.join(sorted(skipped)))}</dt><dd>{_prose(why)}</dd>"
    yield "</dl></section>"


def _text(text: str) -> str:
    return escape(printable(text))


def _prose(text: str) -> str:
    return escape(printable(text, limit=MAX_PROSE))


OUTPUT: Output = write
