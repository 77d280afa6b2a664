"""The way through the house: the one place that knows the order of things."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from weightlint import __version__
from weightlint import schema as schemas
from weightlint.case import Case
from weightlint.checkpoint import Checkpoint, collector_off, open_target
from weightlint.config import BadFieldError, MissingFieldError
from weightlint.config import read as read_config
from weightlint.drawer import Drawer
from weightlint.errors import SchemaError, UsageError
from weightlint.finding import Facts, Report, printable
from weightlint.index import Fault, FaultKind
from weightlint.inspection import Family, Inspection, families
from weightlint.ledger import opened
from weightlint.names import natural
from weightlint.verdict import RULES, judge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weightlint.dialect import Dialect
    from weightlint.quant import Quant
    from weightlint.schema import Schema

QUANTS: Drawer[Quant] = Drawer("quants", "QUANT")
DIALECTS: Drawer[Dialect] = Drawer("dialects", "DIALECT")


def check(
    target: str,
    *,
    arch: str | None = None,
    config: str | None = None,
    schema: str | None = None,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
) -> Report:
    """Check one checkpoint and return the report.

    `target` is a folder, a tensor file, an index file or a snapshot. `select` and `ignore` are
    rule names or prefixes of codes.

    Raises:
        WeightlintError: weightlint could not look: no such path, unknown architecture, bad schema.
    """
    began = time.perf_counter()
    with collector_off():
        case = open_case(str(target), arch=arch, config=config, schema=schema)
        findings, skips = judge(case, select, ignore)
    facts = _facts(case, time.perf_counter() - began)
    return Report(findings=tuple(findings), skips=tuple(skips), facts=facts, version=__version__)


def open_case(
    target: str, *, arch: str | None = None, config: str | None = None, schema: str | None = None
) -> Case:
    """Read a checkpoint and work out what it should hold."""
    if schema is None and arch is not None:
        schemas.path(arch)
    case = Case(open_target(target))
    _configure(case, config)
    if config is None and case.config is None and (arch or schema) and not _config_fault(case):
        message = (
            f"{target}: no config.json beside the tensors; without it the number of layers and "
            "experts is not known. Give one with --config FILE"
        )
        raise UsageError(message)
    _choose_schema(case, arch, schema)
    _expand(case)
    case.ledger = opened(case)
    return case


def _config_fault(case: Case) -> bool:
    return any(fault.file == case.checkpoint.config_path for fault in case.checkpoint.faults)


def _configure(case: Case, given: str | None) -> None:
    from dataclasses import replace

    if given is not None:
        try:
            raw: bytes | None = Path(given).read_bytes()
        except OSError as error:
            message = f"{given}: {error.strerror}; --config wants the config.json of the model"
            raise UsageError(message) from error
        case.checkpoint = replace(case.checkpoint, config=raw, config_path=given)
    raw = case.checkpoint.config
    if raw is None:
        return
    try:
        case.config = read_config(raw, case.checkpoint.config_path)
    except ValueError as error:
        fault = _bad_config(case.checkpoint, str(error))
        case.checkpoint = replace(case.checkpoint, faults=(*case.checkpoint.faults, fault))


def _bad_config(checkpoint: Checkpoint, why: str) -> Fault:
    path = checkpoint.config_path
    return Fault(
        kind=FaultKind.MALFORMED,
        file=path,
        message=f"{path} cannot be read: {why}",
        cure="download it again, or give another with --config FILE",
    )


def _own_schema(file: Path) -> Schema:
    """Read a user's schema, refusing one that is not valid."""
    wrong = schemas.validate(file)
    if wrong:
        message = f"{file} is no valid schema: {'; '.join(wrong[:3])}; `weightlint schema check` lists all"
        raise SchemaError(message)
    return schemas.read(file)


def _choose_schema(case: Case, arch: str | None, file: str | None) -> None:
    if file is not None:
        case.schema = _own_schema(Path(file))
    elif arch is not None:
        case.schema = schemas.load(arch)
    elif case.config is not None:
        name = schemas.detect(case.config)
        case.schema = schemas.load(name) if name else None
        if name is None:
            said = ", ".join(case.config.architectures) or case.config.model_type or "none"
            case.unexpanded = f"no schema for the architecture of the config ({said})"
    else:
        seen = schemas.recognise(case.index.families) if len(case.index) else []
        hint = f"; the names look like {' or '.join(seen)}" if seen else ""
        case.unexpanded = (
            f"no {case.checkpoint.config_path} beside the tensors{hint}; give one with --config FILE"
        )
    case.arch = case.schema.name if case.schema else None


def _expand(case: Case) -> None:
    """Expand the schema, let the declared quant rewrite it, and join it in the files' spelling."""
    if case.schema is None:
        return
    if case.config is None:
        case.unexpanded = f"{case.checkpoint.config_path} cannot be read"
        return
    from weightlint.expansion import bad_fields, expand
    from weightlint.expected import Expected
    from weightlint.spelling import settle

    try:
        table = case.config.quantization
        if table:
            case.quant = next((it for it in QUANTS.values() if it.declared(table)), None)
            if case.quant is None:
                method = printable(str(table.get("quant_method", "no quant_method")))
                case.unexpanded = (
                    f"the config declares a quantisation ({method}) that this version does not know"
                )
                return
        for bad in bad_fields(case.schema, case.config):
            raise bad
        if case.quant is not None and table is not None:
            case.quant.rewrite(Expected(()), table)
        expected = expand(case.schema, case.config)
        expected = case.quant.rewrite(expected, table) if case.quant and table else expected
    except MissingFieldError as error:
        case.unexpanded = f"{case.config.path} has no field {error.name}"
        return
    except BadFieldError as error:
        case.unexpanded, case.bad_field = f"{case.config.path}: {error}", error
        return
    case.plain = expected
    if len(case.index) or case.checkpoint.faults or case.checkpoint.absent:
        case.spelling = settle(case.index, expected, DIALECTS)


def _facts(case: Case, seconds: float) -> Facts:
    checkpoint = case.checkpoint
    sizes = [file.size or 0 for file in checkpoint.index.files]
    return Facts(
        target=checkpoint.target,
        arch=case.arch,
        dialect=_dialect(case),
        quant=case.quant.name if case.quant else None,
        tensors=len(case.index),
        checked=_checked(case),
        files=len(sizes),
        bytes=sum(sizes),
        seconds=round(seconds, 3),
    )


def _dialect(case: Case) -> str | None:
    if case.spelling is None:
        return None
    return case.spelling.dialect.name if case.spelling.dialect else "hf"


def _checked(case: Case) -> int:
    """Count the tensors that were compared: with the schema, or, where there is none, by the file rules."""
    if case.spelling is not None:
        return len(case.index)
    return 0 if case.schema is not None or case.checkpoint.names_only else len(case.index)


def inspect(target: str, *, config: str | None = None) -> Inspection:
    """List the families of a checkpoint with counts, dtypes, shapes and bytes."""
    began = time.perf_counter()
    with collector_off():
        case = Case(open_target(target))
        _configure(case, config)
        if case.config is not None:
            case.arch = schemas.detect(case.config)
        rows = sorted(families(case.index), key=lambda family: natural(family.pattern))
    return Inspection(_facts(case, time.perf_counter() - began), tuple(rows))


def snapshot(target: str, output: str) -> int:
    """Write names, dtypes, shapes, files and sizes of a checkpoint, folded; return the bytes written."""
    from weightlint.formats import snapshot as form

    with collector_off():
        return form.write(open_target(target), Path(output))


__all__ = ["RULES", "Family", "Inspection", "check", "inspect", "open_case", "snapshot"]
