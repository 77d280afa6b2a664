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

from weightlint.dtype import FLOATS
from weightlint.finding import Level
from weightlint.keys import Keys
from weightlint.names import fold
from weightlint.packing import take_packed
from weightlint.quantising import parts
from weightlint.rule import Need, Rule
from weightlint.scheme import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from weightlint.case import Case
    from weightlint.expected import Slot
    from weightlint.finding import Finding
    from weightlint.form import Form
    from weightlint.names import Coord
    from weightlint.recognising import Recognised

Hits = dict["Slot", "dict[Coord, int]"]
"""Rows by slot and coordinates."""


def check(case: Case) -> Iterator[Finding]:
    """Compare declared and real quantisation, weight by weight."""
    if case.bad_field is not None:
        return
    if case.recognised is not None:
        yield _recognised(case, case.recognised)
    plain = _plain_rows(case)
    if plain:
        yield _plain(case, plain)
    yield from _excluded(case)
    yield from _packed(case)


def _recognised(case: Case, found: Recognised) -> Finding:
    """Tell of tensors that are those of another scheme, or of another setting, than the config says."""
    mains = [slot for slot in case.joined.matched if slot.form is not None]
    rows = [row for slot in mains for row in case.joined.matched[slot]]
    config = case.checkpoint.config_path
    what = f"{found.quant.title} with {found.form.says}" if found.form.says else found.quant.title
    keys = {key: value for key, value in found.table.items() if key in found.quant.guesses[0]}
    if case.quant is None:
        says, cure = "declares no quantisation", f'restore "quantization_config": {json.dumps(keys)}'
    elif case.quant is found.quant:
        declared = case.quant.read(_declared(case)).default
        says = f"declares {declared.says if declared else case.quant.title}"
        changed = {key: value for key, value in keys.items() if _declared(case).get(key) != value}
        cure = f"set {', '.join(f'{key} to {json.dumps(value)}' for key, value in changed.items())} in quantization_config"
    else:
        says, cure = f"declares {case.quant.title}", f'make it "quantization_config": {json.dumps(keys)}'
    return _finding(
        case,
        rows,
        f"{_count(rows)} {what}, but {config} {says}",
        expected=says.removeprefix("declares "),
        found=what,
        cure=f"{cure}, or take the config of the same export",
    )


def _declared(case: Case) -> Mapping[str, object]:
    return (case.config.quantization if case.config is not None else None) or {}


def _plain_rows(case: Case) -> Hits:
    """Return the plain weights that stand where the scheme has quantised ones, and explain them."""
    hits: Hits = {}
    for slot in [
        slot for slot in case.joined.expected.slots if slot.form is not None and slot.plain is not None
    ]:
        plain = slot.plain
        assert plain is not None
        found = _stored_plain(case, slot) if plain.pattern == slot.pattern else _instead(case, slot, plain)
        if found:
            hits[slot] = found
    return hits


def _stored_plain(case: Case, slot: Slot) -> dict[Coord, int]:
    """Take the rows of a weight that have its name and are plain."""
    assert slot.plain is not None
    kinds = case.ledger.misfits.get(slot, {})
    wrong = [kind for kind in kinds if kind.dtype in FLOATS and kind.shape == slot.plain.shape]
    rows = {row for kind in wrong for row in case.ledger.take_misfits(slot, kind)}
    by_name = {case.index.names[row]: row for row in rows}
    return {
        coord: by_name[name]
        for coord, name in zip(slot.coords(), slot.names(), strict=True)
        if name in by_name
    }


def _instead(case: Case, slot: Slot, plain: Slot) -> dict[Coord, int]:
    """Take the plain weights that stand beside the names that the scheme gives."""
    missing = case.ledger.missing.get(slot, set())
    rows = {coord: row for coord in missing if (row := case.index.rows.get(plain.name(coord))) is not None}
    extra = {
        coord: row for coord, row in rows.items() if row in case.ledger.extra.get(plain.template, {}).values()
    }
    case.ledger.take_missing(slot, extra)
    case.ledger.take_extra(plain.template, [fold(plain.name(coord))[1] for coord in extra])
    return extra


def _plain(case: Case, hits: Hits) -> Finding:
    rows = [row for found in hits.values() for row in found.values()]
    lost = _without_companions(case, hits)
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
        "plain, name them in modules_to_not_convert; else download the quantised shards",
    )


def _without_companions(case: Case, hits: Hits) -> int:
    """Explain the missing companions of plain weights; return how many weights have none."""
    of = {slot.pattern: found for slot, found in hits.items()}
    lost: dict[str, set[Coord]] = {pattern: set() for pattern in of}
    for scale in [slot for slot in case.ledger.missing if slot.of in of]:
        assert scale.of is not None
        lost[scale.of] |= case.ledger.take_missing(scale, of[scale.of])
    return sum(map(len, lost.values()))


def _excluded(case: Case) -> Iterator[Finding]:
    """Report quantised weights where the scheme has plain ones."""
    forms = case.scheme.forms if case.scheme is not None else ()
    for form in forms:
        rows: list[int] = []
        kinds: set[str] = set()
        for slot in [slot for slot in case.joined.expected.slots if _is_plain_matrix(slot)]:
            found = _formed(case, slot, form)
            rows += found
            kinds |= {slot.kind} if found else set()
        if rows:
            what, cure = _against(kinds)
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


def _formed(case: Case, slot: Slot, form: Form) -> list[int]:
    """Take the weights of a plain slot that are there in a form, with all their parts; return their main rows."""
    own = list(parts(slot, form))
    suspects = {*case.ledger.missing.get(slot, ()), *_misfit_coords(case, slot)}
    index, out = case.index, []
    for coord in sorted(suspects):
        rows = [index.rows.get(part.name(coord)) for part in own]
        beside = [
            row
            for row, part in zip(rows, own, strict=True)
            if row is not None and part.pattern != slot.pattern
        ]
        if rows[0] is None or not beside or not _is_packed(case, slot, rows[0]):
            continue
        out.append(rows[0])
        case.ledger.take_missing(slot, [coord])
        _take_rows(case, slot, {rows[0]})
        for row in beside:
            template, numbers = fold(index.names[row])
            case.ledger.take_extra(template, [numbers])
    return out


def _is_packed(case: Case, slot: Slot, row: int) -> bool:
    return case.index.kind(row).dtype not in slot.dtypes


def _misfit_coords(case: Case, slot: Slot) -> Iterator[Coord]:
    wrong = {row for rows in case.ledger.misfits.get(slot, {}).values() for row in rows}
    if wrong:
        rows = map(case.index.rows.get, slot.names())
        yield from (coord for coord, row in zip(slot.coords(), rows, strict=True) if row in wrong)


def _take_rows(case: Case, slot: Slot, taken: set[int]) -> None:
    """Explain single rows of a slot."""
    for kind in [kind for kind, rows in case.ledger.misfits.get(slot, {}).items() if taken & {*rows}]:
        left = [row for row in case.ledger.take_misfits(slot, kind) if row not in taken]
        if left:
            case.ledger.misfits.setdefault(slot, {})[kind] = left


def _against(kinds: set[str]) -> tuple[str, str]:
    """Say what is against these weights being quantised, and what to do."""
    others = sorted(kinds - KINDS)
    if others:
        return (
            f"most loaders keep this module plain ({', '.join(others)}): they have no parameter for its scale",
            "export the model again with these modules plain, or take their plain weights from the original",
        )
    return "the config excludes them from quantisation", "remove these modules from modules_to_not_convert"


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


def _finding(case: Case, rows: list[int], message: str, *, expected: str, found: str, cure: str) -> Finding:
    return RULE.finding(
        message, place=case.place(rows), count=len(rows), expected=expected, found=found, cure=cure
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
