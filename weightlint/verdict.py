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
from weightlint.names import natural

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from weightlint.case import Case
    from weightlint.finding import Finding
    from weightlint.rule import Rule

    Speech = Callable[[Case], Iterator[Finding]]

RULES: Drawer[Rule] = Drawer("rules", "RULE")
LAST = 90
"""The turn of what a rule says when others have spoken; those that see what is left over come after it."""
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
    rules = RULES.values()
    for case, (rule, speech) in itertools.product(cases, list(_speeches(rules))):
        if rule.needs & case.unasked:
            continue
        lacking = next((why for need in sorted(rule.needs) if (why := case.lacks(need))), None)
        case.told += [] if lacking is not None else list(_speak(case, rule, speech))
        if lacking is not None and _wanted(rule, select, ignore):
            skips[Skip(rule.code, lacking)] = None
    wanted = {rule.code for rule in rules if _wanted(rule, select, ignore)}
    for case in cases:
        findings += [finding for finding in _by_loader(case) if finding.code in wanted]
    return sorted(findings, key=_order), sorted(skips, key=lambda skip: skip.code)


def _speeches(rules: Iterable[Rule]) -> Iterator[tuple[Rule, Speech]]:
    """Order what rules have to say by their turns."""
    turns = [(rule.turn, rule.code, rule, rule.check) for rule in rules]
    turns += [(LAST, rule.code, rule, rule.last) for rule in rules if rule.last is not None]
    yield from ((rule, speech) for *_, rule, speech in sorted(turns, key=lambda it: it[:2]))


def _by_loader(case: Case) -> Iterable[Finding]:
    """Say after each finding what the chosen loader makes of it."""
    if case.loader is None:
        return case.told
    from weightlint.loading.aftermath import with_fates

    return with_fates(case, case.told)


def _wanted(rule: Rule, select: Sequence[str], ignore: Sequence[str]) -> bool:
    def named(words: Sequence[str]) -> bool:
        return any(rule.code.startswith(word) or rule.name == word for word in words)

    return (not select or named(select)) and not named(ignore)


def _speak(case: Case, rule: Rule, speech: Speech) -> Iterator[Finding]:
    try:
        found = list(speech(case))
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
