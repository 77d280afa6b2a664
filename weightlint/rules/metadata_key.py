"""A key of a GGUF file is missing, of another type, or contradicts what else the file says.

Checks: keys that the loader needs, their exact types, their values, and what they say together and of the tensors.
Matters: llama.cpp refuses the file, dies of an assertion or at the first token, or routes and turns wrongly without a word.
Example: deepseek2.expert_gating_func is absent while exp_probs_b is there: softmax in place of sigmoid.
Cure: correct the key with gguf-set-metadata, or convert the original again with a current convert_hf_to_gguf.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.config import BadFieldError
from weightlint.finding import Level, Place
from weightlint.index import FaultKind
from weightlint.key_faults import key_faults, still, stopping, unknown
from weightlint.keys import ARCHITECTURE, Keys
from weightlint.llama import architectures, release_of
from weightlint.rule import Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.case import Case
    from weightlint.finding import Finding
    from weightlint.key_faults import KeyFault
    from weightlint.schema import Schema

ABSENT = "convert the original again with a current convert_hf_to_gguf.py, which writes this key"
OTHERWISE = {
    "refuses": "llama.cpp refuses the file",
    "aborts": "llama.cpp dies of an assertion at load",
    "dies": "llama.cpp loads the file and dies at the first token",
    "hangs": "llama.cpp loads the file and hangs at the first token",
    "nan": "llama.cpp loads the file and answers NaN",
    "answers": "llama.cpp loads the file and answers wrongly, without a word",
}


def check(case: Case) -> Iterator[Finding]:
    """Report each key that is at fault, and take the tensors that it explains."""
    if not isinstance(case.config, Keys) or case.checkpoint.is_companion or _is_broken(case):
        return
    if case.schema is None:
        strange = unknown(case.config, architectures())
        if strange is not None and (release_of(case.loader) is None or not _is_unheard(case.config)):
            yield _finding(case, case.config, strange)
        return
    faults = list(key_faults(case.schema, case.config, case.index.rows))
    for fault in faults:
        _explain(case, fault)
    told = case.ledger.told | _consequences(case, case.schema, case.config)
    said = [fault for fault in faults if fault.key not in told]
    stop = case.bad_field if case.bad_field is None or case.bad_field.name not in case.ledger.told else None
    bad = isinstance(stop, BadFieldError) and stop.name not in {fault.key for fault in said}
    if stop is not None and (bad or not any(fault.level == "error" for fault in said)):
        said.append(stopping(stop, case.schema))
    for fault in said:
        yield _finding(case, case.config, fault)


def _is_unheard(keys: Keys) -> bool:
    """Tell whether the architecture is one that no release knows: with a loader, WL601 says so."""
    return bool(keys.prefix) and keys.prefix not in architectures()


def _is_broken(case: Case) -> bool:
    """Tell whether a file or part is broken or absent: its keys are judged when it is whole.

    Only the first part of a split has keys of the model; without it, what is there says nothing.
    """
    keys = case.checkpoint.keys
    faults = [fault for fault in case.checkpoint.faults if fault.kind is not FaultKind.ODD]
    later = ARCHITECTURE not in keys and "split.count" in keys
    return bool(faults or case.checkpoint.absent or later)


def _consequences(case: Case, schema: Schema, keys: Keys) -> frozenset[str]:
    """Return the keys whose checks hold once the one value is corrected to which the tensors point."""
    if case.spelling is None:
        return frozenset()
    names = case.index.rows
    before = still(schema, keys, names)
    refit = case.refit() if before else None
    if refit is None:
        return frozenset()
    return before - still(schema, keys.with_change(refit.field, refit.fits), names)


def _explain(case: Case, fault: KeyFault) -> None:
    if case.spelling is not None and fault.explains:
        matchers = [ignore.matcher() for ignore in fault.explains]
        case.ledger.forget(case.index, lambda name: any(matches(name) for matches in matchers))


def _finding(case: Case, keys: Keys, fault: KeyFault) -> Finding:
    from weightlint.names import patterns

    return RULE.finding(
        f"{keys.path}: {keys.spelled(fault.key)} {fault.what}; {OTHERWISE[fault.otherwise]}",
        level=Level[fault.level.upper()],
        place=Place(tensors=tuple(patterns(fault.tensors)), files=(keys.path,)),
        unit="key",
        expected=fault.expected,
        found=fault.found,
        cure=fault.cure or (case.wording.agree if keys.find(fault.key, None)[0] else ABSENT),
    )


RULE = Rule(
    code="WL304",
    name="metadata-key",
    level=Level.ERROR,
    page=__doc__ or "",
    check=check,
    turn=18,
)
