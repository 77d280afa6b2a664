"""The quantisation that the config declares and the tensors contradict each other.

Checks: weights that are plain where the config quantises, quantised where it excludes or declares nothing; another scheme, other bits, groups
or blocks than it declares.
Matters: vLLM copies BF16 weights into FP8 parameters, SGLang serves FP8 without scales: garbage with green health.
Example: quantization_config says fp8 and every linear weight is BF16.
Cure: take config and weights of one export: remove the declaration from a plain copy, restore it for a quantised one.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from weightlint.declarations import IN
from weightlint.finding import Level, printable
from weightlint.keys import Keys
from weightlint.packing import take_packed
from weightlint.quant_misfits import formed, plain_rows, without_companions
from weightlint.rule import Need, Rule
from weightlint.scheme import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from weightlint.case import Case
    from weightlint.expected import Slot
    from weightlint.finding import Finding
    from weightlint.quant_misfits import Hits
    from weightlint.recognising import Recognised
    from weightlint.scheme import Scheme


def check(case: Case) -> Iterator[Finding]:
    """Compare declared and real quantisation, weight by weight."""
    if case.bad_field is not None:
        return
    if case.recognised is not None:
        yield _recognised(case, case.recognised)
    plain = plain_rows(case)
    if plain:
        yield _plain(case, plain)
    yield from _excluded(case)
    yield from _packed(case)


def _recognised(case: Case, found: Recognised) -> Finding:
    """Tell of tensors that are those of another scheme, or of another setting, than the config says."""
    matched = case.joined.matched
    rows = [row for slot, there in matched.items() if slot.form is not None for row in there]
    beside = [row for slot, there in matched.items() if slot.of is not None for row in there]
    what = f"{found.quant.title} with {found.form.says}" if found.form.says else found.quant.title
    says, cure = _said_and_cure(case, found)
    undeclared = case.quant is None and bool(found.quant.file)
    return _finding(
        case,
        rows + beside,
        f"{_count(rows)} {what}, but {_where(case)} {says}",
        expected=f"a {found.quant.file}" if undeclared else says.removeprefix("declares "),
        found=what,
        cure=f"{cure}, or take the config of the same export",
        level=Level.WARNING if undeclared else None,
    )


def _said_and_cure(case: Case, found: Recognised) -> tuple[str, str]:
    """Return what the config says, and what to do about it."""
    guessed = {key for guess in found.quant.guesses for key in guess}
    keys = {key: value for key, value in found.table.items() if key in guessed}
    field = found.quant.field
    if case.quant is None and found.quant.file:
        return (
            f"does not say so, nor is there a {found.quant.file}: undeclared quantisation",
            f"put the {found.quant.file} of the same export beside it: it tells a loader how each tensor is stored",
        )
    if case.quant is None:
        return "declares no quantisation", f'restore "{field}": {json.dumps(keys)}'
    if case.quant is not found.quant:
        return f"declares {case.quant.title}", f'make it "{field}": {json.dumps(keys)}'
    declared = case.quant.read(_declared(case)).default
    changed = {key: value for key, value in keys.items() if _declared(case).get(key) != value}
    sets = ", ".join(f"{key} to {json.dumps(value)}" for key, value in changed.items())
    return f"declares {declared.says if declared else case.quant.title}", f"set {sets} in {field}"


def _where(case: Case) -> str:
    """Name the file that declares the quantisation."""
    other = _declared(case).get(IN)
    return printable(other) if isinstance(other, str) else case.checkpoint.config_path


def _declared(case: Case) -> Mapping[str, object]:
    return (case.config.quantization if case.config is not None else None) or {}


def _plain(case: Case, hits: Hits) -> Finding:
    rows = [row for found in hits.values() for row in found.values()]
    lost = without_companions(case, hits)
    stored = len(rows) - lost
    dtype = case.index.kind(rows[0]).dtype
    with_scales = f"; {stored:,} of them have scales all the same" if stored else " without scales"
    form = next(iter(hits)).form
    assert form is not None
    name = case.quant.name if case.quant is not None else form.name
    return _finding(
        case,
        rows,
        f"the config declares {name}, but {_count(rows)} stored as {dtype}{with_scales}",
        expected=f"{'/'.join(sorted(form.main.dtypes))} with a scale each",
        found=f"{dtype}",
        cure="if this is a plain copy, remove quantization_config from the config; if single modules stay "
        f"plain, name them in {_list(case)}; else download the quantised shards",
    )


def _excluded(case: Case) -> Iterator[Finding]:
    """Report quantised weights where the scheme has plain ones."""
    scheme = case.scheme
    for form in scheme.forms if scheme is not None else ():
        rows: list[int] = []
        slots: list[Slot] = []
        for slot in [slot for slot in case.joined.expected.slots if _is_plain_matrix(slot)]:
            found = formed(case, slot, form)
            rows += found
            slots += [slot] if found else []
        if rows and scheme is not None:
            what, cure = _against(case, slots, scheme)
            yield _finding(
                case,
                rows,
                f"{_count(rows)} {case.index.kind(rows[0]).dtype} with scales, but {what}",
                expected="BF16, F16 or F32",
                found=f"{case.index.kind(rows[0]).dtype} with scales",
                cure=cure,
            )


def _is_plain_matrix(slot: Slot) -> bool:
    return slot.form is None and slot.of is None and len(slot.shape) > 1


def _list(case: Case) -> str:
    """Return the key under which the config names plain modules."""
    return case.quant.excluding if case.quant is not None else "modules_to_not_convert"


def _against(case: Case, slots: Sequence[Slot], scheme: Scheme) -> tuple[str, str]:
    """Say what is against these weights being quantised, and what to do."""
    others = sorted({slot.kind for slot in slots if slot.kind not in KINDS and not scheme.excludes(slot)})
    if others:
        return (
            f"most loaders keep this module plain ({', '.join(others)}): they have no parameter for its scale",
            "export the model again with these modules plain, or take their plain weights from the original",
        )
    return "the config excludes them from quantisation", f"remove these modules from {_list(case)}"


def _packed(case: Case) -> Iterator[Finding]:
    """Report weights that a quantiser packed, of which the config says nothing."""
    config = case.checkpoint.config_path
    for it in take_packed(case) if not isinstance(case.config, Keys) else ():
        method, rows = it.packer.method, it.weights + it.state
        field = "quantization" if method == "mlx" else f'quantization_config ("quant_method": "{method}")'
        says = f"{config} declares {case.quant.name}" if case.quant else f"{config} declares no quantisation"
        ends = ", ".join(end.removeprefix(".weight") for end in it.ends(case))
        yield _finding(
            case,
            rows,
            f"{'1 weight is' if it.count == 1 else f'{it.count:,} weights are'} packed as {it.packer.title} does, but {says}",
            expected="BF16, F16 or F32",
            found=f"{case.index.kind(rows[0]).dtype or 'packed weights'} with {ends}",
            cure=f"restore {field} in the config; for a loader or converter of plain weights take the original",
        )


def _count(rows: list[int]) -> str:
    return "1 weight is" if len(rows) == 1 else f"{len(rows):,} weights are"


def _finding(
    case: Case,
    rows: list[int],
    message: str,
    *,
    expected: str,
    found: str,
    cure: str,
    level: Level | None = None,
) -> Finding:
    place = case.place(rows)
    return RULE.finding(
        message, place=place, count=len(rows), expected=expected, found=found, cure=cure, level=level
    )


RULE = Rule(
    code="WL401",
    name="quant-contradiction",
    level=Level.ERROR,
    page=__doc__ or "",
    check=check,
    needs=frozenset({Need.TABLE, Need.HEADERS, Need.EXPECTED}),
    turn=18,
)
