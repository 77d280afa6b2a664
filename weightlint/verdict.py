"""What the rules say of a case: every rule speaks in its turn, the wanted findings are kept.

All rules run, whatever is selected: one that is left out must still take what it explains, or its
symptoms would come back as findings of a more general rule.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from weightlint.drawer import Drawer
from weightlint.errors import WeightlintError
from weightlint.finding import Place, Skip, counted
from weightlint.llama import release_of
from weightlint.names import natural

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from weightlint.case import Case
    from weightlint.finding import Finding
    from weightlint.rule import Rule

RULES: Drawer[Rule] = Drawer("rules", "RULE")
MAX_FINDINGS = 10_000
"""Findings kept of one rule; the others are counted in one more."""


def judge(
    cases: Sequence[Case], select: Sequence[str] = (), ignore: Sequence[str] = ()
) -> tuple[list[Finding], list[Skip]]:
    """Let every rule whose needs are met speak of every case; return the wanted findings and skips.

    `select` and `ignore` are rule names or prefixes of codes.
    """
    findings: list[Finding] = []
    skips: dict[Skip, None] = {}
    rules = sorted(RULES.values(), key=lambda rule: (rule.turn, rule.code))
    for case in cases:
        if release_of(case.loader) is not None:
            _set_aside(case)
    for case, rule in itertools.product(cases, rules):
        if rule.needs & case.unasked:
            continue
        lacking = next((why for need in sorted(rule.needs) if (why := case.lacks(need))), None)
        case.told += [] if lacking is not None else list(_speak(case, rule))
        if lacking is not None and _wanted(rule, select, ignore):
            skips[Skip(rule.code, lacking)] = None
    wanted = {rule.code for rule in rules if _wanted(rule, select, ignore)}
    for case in cases:
        findings += [finding for finding in _by_loader(case) if finding.code in wanted]
    return sorted(findings, key=_order), sorted(skips, key=lambda skip: skip.code)


def _set_aside(case: Case) -> None:
    """Keep from the rules what is no defect, only new to the release of the loader."""
    from weightlint.loader_age import set_aside

    set_aside(case)


def _by_loader(case: Case) -> Iterable[Finding]:
    """Say after each finding what the chosen loader makes of it."""
    if case.loader is not None and case.checkpoint.format == "gguf" and release_of(case.loader) is not None:
        from weightlint.llama_stops import with_words

        return with_words(case, case.told)
    if case.loader is None or not case.told:
        return case.told
    from weightlint.loading.aftermath import with_fates

    return with_fates(case, case.told)


def _wanted(rule: Rule, select: Sequence[str], ignore: Sequence[str]) -> bool:
    def named(words: Sequence[str]) -> bool:
        return any(rule.code.startswith(word) or rule.name == word for word in words)

    return (not select or named(select)) and not named(ignore)


def _speak(case: Case, rule: Rule) -> Iterator[Finding]:
    try:
        found = list(rule.check(case))
    except WeightlintError:
        raise
    except Exception as error:  # noqa: BLE001 -- one crashing rule must not hide what the others say
        yield crashed(rule, error)
        return
    yield from found[:MAX_FINDINGS]
    if len(found) > MAX_FINDINGS:
        more = len(found) - MAX_FINDINGS
        yield rule.finding(
            f"{counted(more, 'finding')} more of this rule",
            place=Place(),
            count=more,
            unit="finding",
            cure="repair what is listed and check again",
        )


def crashed(rule: Rule, error: Exception) -> Finding:
    """Report a rule that crashed, as WL000."""
    internal = RULES["internal"]
    return internal.finding(
        f"rule {rule.code} {rule.name} crashed: {type(error).__name__}: {error}",
        place=Place(),
        unit="rule",
        cure="report it with the snapshot of this checkpoint (`weightlint snapshot`); --ignore "
        f"{rule.code} leaves the rule out",
    )


def _order(finding: Finding) -> tuple[str, list[tuple[int, int, str]], str]:
    first = next(iter((*finding.place.tensors, *finding.place.files)), "")
    return finding.code, natural(first), finding.message
