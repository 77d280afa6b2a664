"""Plans as people write them: `tp=8,pp=3,ep=8`, degrees one by one, numbers of layers `22,20,19`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from weightlint.errors import UsageError, nearest
from weightlint.plan import MAX_RANKS, Plan

if TYPE_CHECKING:
    from collections.abc import Mapping

DEGREES = ("tp", "pp", "ep", "dp")


def read(text: str) -> Plan:
    """Read `tp=8,pp=3,ep=8,dp=2`, in any order, what is not named is 1.

    Raises:
        UsageError: another word, a degree twice, or no whole number above 0.
    """
    found: dict[str, int] = {}
    for word in filter(None, (word.strip() for word in text.replace(" ", ",").split(","))):
        kind, _, number = word.partition("=")
        if kind not in DEGREES:
            message = f"--plan {text}: no degree {kind!r}{nearest(kind, DEGREES)}; write it as tp=8,pp=3,ep=8"
            raise UsageError(message)
        if kind in found:
            message = f"--plan {text}: {kind} stands twice"
            raise UsageError(message)
        found[kind] = _degree(kind, number)
    return checked(_with(Plan(), found))


def _with(plan: Plan, degrees: Mapping[str, int]) -> Plan:
    tp, pp, ep, dp = (degrees.get(kind, getattr(plan, kind)) for kind in DEGREES)
    return replace(plan, tp=tp, pp=pp, ep=ep, dp=dp)


def _degree(kind: str, text: str) -> int:
    if text.isascii() and text.isdigit() and 0 < int(text[:9]) == int(text) <= MAX_RANKS:
        return int(text)
    message = f"{kind}={text}: not a whole number from 1 to {MAX_RANKS:,}"
    raise UsageError(message)


def layers(text: str) -> tuple[int, ...]:
    """Read the numbers of layers of the stages, `22,20,19`.

    Raises:
        UsageError: something else stands there.
    """
    words = [word.strip() for word in text.split(",")]
    if all(word.isascii() and word.isdigit() and len(word) < 7 for word in words):
        return tuple(map(int, words))
    message = f"--pp-layers {text}: not numbers of layers with commas between them: 22,20,19"
    raise UsageError(message)


def checked(plan: Plan) -> Plan:
    """Return a plan that this machine can lay out.

    Raises:
        UsageError: it has more ranks than any cluster.
    """
    if plan.size > MAX_RANKS:
        message = (
            f"tp={plan.tp} x pp={plan.pp} x dp={plan.dp} are {plan.size:,} ranks, the limit is {MAX_RANKS:,}"
        )
        raise UsageError(message)
    return plan


def put_together(
    text: str | None, degrees: Mapping[str, int | None], pp_layers: str | None, file: str | None
) -> Plan | None:
    """Make one plan of all that a command line says of it; None where it says nothing.

    Raises:
        UsageError: a degree is given twice, or the plan cannot be.
    """
    named = {kind: degree for kind, degree in degrees.items() if degree is not None}
    if text and file:
        message = "--plan and --plan-file both give a plan; keep one"
        raise UsageError(message)
    if not text and not file and not named and pp_layers is None:
        return None
    plan = read(text) if text else _of_file(file) if file else Plan()
    for kind, degree in named.items():
        if getattr(plan, kind) not in {1, degree}:
            where = "--plan" if text else "--plan-file"
            message = f"--{kind} {degree} and {where} with {kind}={getattr(plan, kind)}: keep one"
            raise UsageError(message)
        _degree(kind, str(degree))
    plan = _with(plan, named)
    if pp_layers is not None:
        sizes = layers(pp_layers)
        plan = replace(plan, pp_layers=sizes, stages=(), pp=plan.pp if plan.pp > 1 else len(sizes))
    return checked(plan)


def _of_file(file: str) -> Plan:
    from weightlint import plan_file

    return plan_file.read(file)
