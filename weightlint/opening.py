"""From a target to a case: checkpoint, config, schema, expectation, in this order.

What cannot be worked out is said in the case (`unexpanded`, `bad_field`), not raised: file rules run
without it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from weightlint import keys, llama
from weightlint import schema as schemas
from weightlint.case import Case
from weightlint.config_spelling import read as read_config
from weightlint.errors import SchemaError, UsageError
from weightlint.expectation import dialect_named, expect, expect_base, settle
from weightlint.finding import printable
from weightlint.index import Fault, FaultKind
from weightlint.inspection import widths
from weightlint.keys import Keys
from weightlint.ledger import opened
from weightlint.target import open_target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.checkpoint import Checkpoint
    from weightlint.inspection import Widths
    from weightlint.loader import Release
    from weightlint.schema import Schema


def open_cases(
    target: str,
    *,
    arch: str | None = None,
    config: str | None = None,
    schema: str | None = None,
    dialect: str | None = None,
    loader: Release | None = None,
) -> list[Case]:
    """Read what the user points at: one case, or one for each model of a folder.

    Raises:
        WeightlintError: weightlint could not look.
    """
    if schema is None and arch is not None and arch not in map(_stem, schemas.every()):
        schemas.path(arch)
    if dialect is not None:
        dialect_named(dialect)
    first = open_target(target)
    return [
        case
        for each in (first, *first.others)
        for case in _views(each, arch=arch, config=config, schema=schema, dialect=dialect, loader=loader)
    ]


def _views(
    checkpoint: Checkpoint,
    *,
    arch: str | None,
    config: str | None,
    schema: str | None,
    dialect: str | None,
    loader: Release | None,
) -> Iterator[Case]:
    """Yield one case, or for a GGUF file with a config two: by its own keys, and against that config.

    The second one tells only what the first does not: where config and keys contradict each other, and
    tensors that the model has and llama.cpp does not ask for.
    """
    if config is None or checkpoint.format != "gguf":
        yield open_case(checkpoint, arch=arch, config=config, schema=schema, dialect=dialect, loader=loader)
        return
    own = open_case(checkpoint, arch=None, config=None, dialect=dialect, loader=loader)
    yield own
    if isinstance(own.config, Keys):
        silent = replace(checkpoint, faults=(), absent=())
        other = open_case(silent, arch=arch, config=config, schema=schema, dialect=dialect, loader=loader)
        other.ledger.leave_out(own.ledger)
        other.beside = own.config
        yield other


def open_case(
    checkpoint: Checkpoint,
    *,
    arch: str | None,
    config: str | None,
    schema: str | None = None,
    dialect: str | None = None,
    loader: Release | None = None,
) -> Case:
    """Work out what a checkpoint should hold, for the loader that reads it."""
    case = Case(checkpoint, wanted=dialect, loader=loader)
    configure(case, config)
    if config is None and case.config is None and (arch or schema) and not _config_fault(case):
        message = (
            f"{checkpoint.target}: no config.json beside the tensors; without it the number of layers and "
            "experts is not known. Give one with --config FILE"
        )
        raise UsageError(message)
    _choose_schema(case, arch, schema)
    if checkpoint.adapter is None:
        expect(case)
        settle(case)
    else:
        expect_base(case)
    case.ledger = opened(case)
    return case


def _config_fault(case: Case) -> bool:
    return any(fault.file == case.checkpoint.config_path for fault in case.checkpoint.faults)


def configure(case: Case, given: str | None) -> None:
    """Give a case its config: the file that the user names, else the one beside the tensors."""
    if given is not None:
        try:
            raw: bytes | None = Path(given).read_bytes()
        except OSError as error:
            message = f"{given}: {error.strerror}; --config wants the config.json of the model"
            raise UsageError(message) from error
        case.checkpoint = replace(case.checkpoint, config=raw, config_path=given)
    raw = case.checkpoint.config
    if given is None and case.checkpoint.format == "gguf":
        _take_keys(case)
        return
    if raw is None:
        return
    try:
        case.config = read_config(raw, case.checkpoint.config_path)
    except ValueError as error:
        fault = _bad_config(case.checkpoint, str(error))
        case.checkpoint = replace(case.checkpoint, faults=(*case.checkpoint.faults, fault))


def _take_keys(case: Case) -> None:
    """Let the keys of a GGUF file stand in for a config; what lies beside it is of another format."""
    files = case.index.files
    path = files[0].path if files else case.checkpoint.target
    case.checkpoint = replace(case.checkpoint, config=None, config_path=path)
    if case.checkpoint.keys:
        case.config = keys.read(case.checkpoint.keys, path)


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
    elif isinstance(case.config, Keys) and (arch not in schemas.names() or _is_of_gguf(arch)):
        _choose_by_keys(case, case.config, arch)
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
    if case.schema is not None and case.config is not None and case.schema.quantization:
        case.config = replace(case.config, unsaid=case.schema.quantization)
    case.arch = case.schema.name if case.schema else None


def widths_of(case: Case) -> Widths | None:
    """Return what quantised weights take, None where the model or its names are not known."""
    _choose_schema(case, None, None)
    if case.schema is None or case.checkpoint.adapter is not None:
        return None
    expect(case)
    settle(case)
    return widths(case.index, case.joined.expected) if case.spelling is not None else None


def _is_of_gguf(arch: str | None) -> bool:
    """Tell whether GGUF has an architecture of a name, which is meant where a GGUF file is asked about."""
    return f"gguf/{_stem(arch or '')}" in schemas.names("gguf")


def _choose_by_keys(case: Case, config: Keys, arch: str | None) -> None:
    """Take the schema named after the architecture that a GGUF file declares."""
    if case.checkpoint.is_companion and arch is None:
        kind = case.checkpoint.keys.get("general.type")
        said = printable(str(kind.value)) if kind is not None else config.prefix
        case.unexpanded = f"the file is no model of its own: it says that it is of type {said}"
        return
    name = f"gguf/{_stem(arch or config.prefix)}"
    release = llama.release_of(case.loader)
    if release is not None and arch is None and config.prefix not in llama.architectures(release):
        case.unexpanded = (
            f"{case.loader} does not know the architecture of the file ({printable(config.prefix)})"
        )
    elif name in schemas.names("gguf"):
        case.schema = schemas.load(name, release)
    else:
        said = printable(config.prefix) if config.prefix else "none"
        case.unexpanded = f"no schema for the architecture of the file (general.architecture = {said})"


def _stem(name: str) -> str:
    return name.rpartition("/")[2]
