"""What a case expects: schema x config, rewritten by the quant, then in the files' spelling, then joined.

What cannot be worked out is said in the case.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from weightlint.config import BadFieldError, FieldError, MissingFieldError
from weightlint.drawer import Drawer
from weightlint.errors import UsageError, nearest
from weightlint.finding import printable
from weightlint.keys import Keys
from weightlint.quant import declared

if TYPE_CHECKING:
    from collections.abc import Mapping

    from weightlint.case import Case
    from weightlint.dialect import Dialect
    from weightlint.expected import Expected
    from weightlint.quant import Quant
    from weightlint.ranking.ranks import Ranks

QUANTS: Drawer[Quant] = Drawer("quants", "QUANT")
DIALECTS: Drawer[Dialect] = Drawer("dialects", "DIALECT")


def dialect_named(dialect: str) -> Dialect:
    """Return a dialect by its name.

    Raises:
        UsageError: there is none of that name.
    """
    if dialect not in DIALECTS:
        message = (
            f"no dialect named {dialect!r}{nearest(dialect, DIALECTS)}; `weightlint list dialects` has all"
        )
        raise UsageError(message)
    return DIALECTS[dialect]


def expect(case: Case) -> None:
    """Expand the schema and let the declared quant rewrite it."""
    if case.schema is None:
        return
    if case.config is None:
        case.unexpanded = f"{case.checkpoint.config_path} cannot be read"
        return
    from weightlint.expansion import bad_fields, expand
    from weightlint.quantising import quantised
    from weightlint.recognising import settled

    try:
        # the types of a GGUF file are its own, whatever the original was stored in
        table = None if case.checkpoint.format == "gguf" else case.config.quantization
        if table:
            case.quant = declared(QUANTS, table)
            if case.quant is None:
                method = printable(str(table.get("quant_method", "no quant_method")))
                case.unexpanded = (
                    f"the config declares a quantisation ({method}) that this version does not know"
                )
                return
        for bad in bad_fields(case.schema, case.config):
            raise bad
        if case.quant is not None and table is not None:
            case.scheme = case.quant.read(table)
        expected = case.bare = expand(case.schema, case.config)
        if case.scheme is not None:
            case.scheme = settled(case.index, expected, case.scheme)
        _recognise(case, expected, table)
        expected = quantised(expected, case.scheme) if case.scheme and not case.scheme.late else expected
    except MissingFieldError as error:
        case.unexpanded = f"{case.config.path} has no {case.config.noun} {case.config.spelled(error.name)}"
        case.bad_field = error
        return
    except BadFieldError as error:
        case.unexpanded = f"{case.config.path}: {case.config.spelled(error.name)} {error.why}"
        case.bad_field = error
        return
    case.plain = expected


def _recognise(case: Case, plain: Expected, table: Mapping[str, Any] | None) -> None:
    """Go by what the tensors tell of their quantisation, where the config says something else."""
    if case.checkpoint.format == "gguf" or not len(case.index):
        return
    from weightlint.recognising import recognise

    said = (case.quant, table) if case.quant is not None and table is not None else None
    found = recognise(case.index, plain, QUANTS, said, case.scheme)
    if found is not None:
        case.recognised, case.scheme = found, found.scheme


def expect_base(case: Case) -> None:
    """Expand the schema of the model that an adapter is for; its own tensors are none of that model's."""
    from weightlint.expansion import expand

    if case.schema is not None and case.config is not None:
        try:
            case.plain = expand(case.schema, case.config)
        except FieldError as error:
            case.bad_field = error
    case.unexpanded = "an adapter has none of the base model's tensors"


def settle(case: Case) -> None:
    """Find the files' spelling of the expectation and join; gather the ranks of a model that is cut."""
    from weightlint.join import join
    from weightlint.spelling import Spelling, spelling_of

    ranks = case.checkpoint.ranks
    if ranks is not None:
        _gather(case, ranks)
    elif case.plain is not None and isinstance(case.config, Keys):
        case.spelling = Spelling(join(case.index, case.plain), case.plain, DIALECTS["gguf"], native=True)
    elif case.plain is not None and (len(case.index) or case.checkpoint.faults or case.checkpoint.absent):
        late = case.scheme if case.scheme and case.scheme.late else None
        case.spelling = spelling_of(case.index, case.plain, DIALECTS, case.wanted, late=late)


def _gather(case: Case, ranks: Ranks) -> None:
    """Settle the spelling on names, then make whole tensors of the slices, then join these."""
    from weightlint.join import join
    from weightlint.ranking.gather import gather
    from weightlint.ranking.pile import pile
    from weightlint.spelling import spelling_of

    heap = pile(case.index, ranks, case.checkpoint.lost_files)
    home = ranks.sharding.dialects
    spelling = case.plain and spelling_of(heap.whole({}), case.plain, DIALECTS, case.wanted, home=home)
    expected = spelling.joined.expected if spelling else None
    gathered = gather(heap, expected)
    case.lapses = gathered.lapses
    case.checkpoint = replace(case.checkpoint, index=gathered.index)
    if spelling and expected:
        case.spelling = replace(spelling, joined=join(gathered.index, expected))
