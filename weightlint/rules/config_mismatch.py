"""The config describes another model than the tensors.

Checks: values that no model can have; fields that, with one other value, explain what is missing, extra or misshapen; architecture.
Matters: with a config of another size a loader fails on the first tensor that differs, and names only that one.
Example: num_hidden_layers is 62, the tensors are those of 61 layers.
Cure: take the config.json of the very checkpoint; the message names the field and the value that fits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint import schema as schemas
from weightlint.config import BadFieldError, MissingFieldError
from weightlint.conversion import contradictions, other_architecture
from weightlint.finding import Level, Place
from weightlint.keys import Keys
from weightlint.refit import explained_by, symptoms
from weightlint.renames import renamed
from weightlint.rule import Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.case import Case
    from weightlint.finding import Finding
    from weightlint.refit import Refit


def check(case: Case) -> Iterator[Finding]:
    """Report a bad field; else another architecture; else the field that explains most."""
    config = case.checkpoint.config_path
    if isinstance(case.bad_field, BadFieldError) and not isinstance(case.config, Keys):
        field = case.config.spelled(case.bad_field.name) if case.config else case.bad_field.name
        yield RULE.finding(
            f"{config}: {field} {case.bad_field.why}",
            place=Place(files=(config,)),
            unit="file",
            cure=f"correct {field}, or download the config of this checkpoint again",
        )
    yield from _fractions(case)
    yield from _given(case)
    if case.beside is not None:
        yield from _against_keys(case, case.beside)
    if case.spelling is None:
        return
    other = None if isinstance(case.config, Keys) else _other_architecture(case)
    if other is not None:
        yield other
        return
    refit = case.refit()
    if refit is not None:
        yield _misfit(case, refit)


def _given(case: Case) -> Iterator[Finding]:
    """Say that the config is of another architecture than the one asked for, where it lacks its fields."""
    if not isinstance(case.bad_field, MissingFieldError) or isinstance(case.config, Keys) or not case.config:
        return
    own = schemas.detect(case.config)
    if own is not None and own != case.arch:
        config, lacking = case.checkpoint.config_path, case.bad_field.name
        yield RULE.finding(
            f"{config} is of {own}, not of {case.arch}: it has no field {lacking}",
            place=Place(files=(config,)),
            unit="file",
            expected=f"the config of a {case.arch}",
            found=f"that of a {own}",
            cure=f"check with --arch {own}, or leave --arch away; a tool for {case.arch} cannot read this model",
        )


def _against_keys(case: Case, keys: Keys) -> Iterator[Finding]:
    """Report each key of a GGUF file that contradicts the config; other sizes explain other shapes."""
    assert case.config is not None
    config = case.checkpoint.config_path
    wanted = other_architecture(case.config, keys)
    if wanted is not None:
        case.ledger.missing.clear()
        case.ledger.extra.clear()
        case.ledger.misfits.clear()
        yield _other_model(case, keys, " or ".join(sorted(wanted)))
        return
    found = list(contradictions(case.config, keys, case.schema.scope if case.schema else None))
    for it in found:
        key = keys.spelled(it.key)
        yield RULE.finding(
            f"{config} says {it.fields} = {_json(it.said)}, {keys.path} says {key} = {_json(it.found)}: llama.cpp "
            "computes with the latter",
            place=Place(files=(config, keys.path)),
            unit="key",
            expected=f"{key} = {_json(it.said)}",
            found=f"{key} = {_json(it.found)}",
            cure="take the config.json of the very model that was converted, or convert that model again with "
            "convert_hf_to_gguf.py",
        )
    if any(type(it.found) is int for it in found):
        case.ledger.missing.clear()
        case.ledger.misfits.clear()


def _other_model(case: Case, keys: Keys, wanted: str) -> Finding:
    config = case.checkpoint.config_path
    assert case.config is not None
    return RULE.finding(
        f"{keys.path} is a model of {keys.prefix}, {config} describes one of {case.config.model_type}: they are two models",
        place=Place(files=(config, keys.path)),
        unit="key",
        expected=f"general.architecture = {wanted}",
        found=f"general.architecture = {keys.prefix}",
        cure="give the config.json of the very model that was converted, or the file of the model that the config is of",
    )


def _fractions(case: Case) -> Iterator[Finding]:
    """Warn of whole numbers that are written as fractions: strict readers refuse them."""
    if case.schema is None or case.config is None or isinstance(case.config, Keys):
        return
    for name, spec in case.schema.fields.items():
        there, value = case.config.find(name, case.schema.scope)
        if there and spec.type == "int" and isinstance(value, float) and value.is_integer():
            yield RULE.finding(
                f"{case.checkpoint.config_path}: {case.config.spelled(name)} is {value}, a fraction where a whole number belongs",
                level=Level.WARNING,
                place=Place(files=(case.checkpoint.config_path,)),
                unit="file",
                expected=str(int(value)),
                found=str(value),
                cure=f"write {int(value)}",
            )


def _other_architecture(case: Case) -> Finding | None:
    """Recognise the tensors of another schema that explains what this one does not."""
    before = len(symptoms(case, case.ledger))
    if not before:
        return None
    seen = schemas.recognise(case.index.families)
    if case.arch in seen:
        return None
    fits = {name: len(after) for name in seen if (after := explained_by(case, name)) is not None}
    best = min(fits, key=fits.__getitem__, default=None)
    if best is not None and 2 * fits[best] < before:
        return _foreign(case, best, before - fits[best])
    lost = 2 * case.joined.unmet > case.joined.expected.count
    if (
        not lost
        or not seen
        or 2 * renamed(case.index, case.ledger.extra, case.ledger.missing) > case.joined.unmet
    ):
        return None
    return _foreign(case, seen[0], before)


def _foreign(case: Case, name: str, count: int) -> Finding:
    joined, ledger = case.joined, case.ledger
    total = joined.expected.count
    ledger.missing.clear()
    ledger.extra.clear()
    ledger.misfits.clear()
    assert case.config is not None
    declared = ", ".join(case.config.architectures) or case.config.model_type or "nothing"
    return RULE.finding(
        f"these are the tensors of {name}, not of {case.arch}",
        place=Place(files=(case.checkpoint.config_path,)),
        count=count,
        expected=f"{total:,} tensors of {case.arch}",
        found=f"{total - joined.unmet:,} of them, with names that only {name} has; the config says {declared}",
        cure=f"check with --arch {name}, and give the checkpoint the config.json that belongs to it",
    )


def _misfit(case: Case, refit: Refit) -> Finding:
    from weightlint.names import patterns

    ledger, index = case.ledger, case.index
    names = refit.explained
    ledger.drop_missing(names | refit.freed)
    for template in list(ledger.extra):
        ledger.take_extra(
            template, [c for c, row in ledger.extra[template].items() if index.names[row] in names]
        )
    for slot in list(ledger.misfits):
        for kind in list(ledger.misfits[slot]):
            if all(index.names[row] in names for row in ledger.misfits[slot][kind]):
                ledger.take_misfits(slot, kind)
    assert case.config is not None
    config, name = case.checkpoint.config_path, case.config.spelled(refit.field)
    said, fits = f"{name} = {_json(refit.said)}", _json(refit.fits)
    others = "".join(f", or {case.config.spelled(it)} to {_json(value)}" for it, value in refit.rivals)
    files = dict.fromkeys(index.file(index.rows[name]) for name in sorted(names) if name in index.rows)
    there = case.config.find(refit.field, case.schema.scope if case.schema else None)[0]
    says = f"{config} says {said}" if there else f"{config} has no {name}, which then is {_json(refit.said)}"
    return RULE.finding(
        f"{says}, the tensors are those of {fits}",
        place=Place(tensors=tuple(patterns(names)), files=tuple(dict.fromkeys((config, *list(files)[:2])))),
        count=len(names),
        expected=said,
        found=f"{len(names):,} tensors that fit {name} = {fits}",
        cure=f"set {name} to {fits}{others}{case.wording.correct}; if the {case.wording.source} is right, the named tensors are "
        "missing or foreign",
    )


def _json(value: object) -> str:
    from json import dumps

    return dumps(value)


RULE = Rule(
    code="WL303",
    name="config-mismatch",
    level=Level.ERROR,
    page=__doc__ or "",
    check=check,
    turn=19,
)
