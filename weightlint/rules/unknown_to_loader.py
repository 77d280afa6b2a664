"""The loader's release does not know this kind of checkpoint, or has a known fault with it.

Checks: what the release knows: architecture, for llama.cpp tensors, layouts and keys as well; its known faults with checkpoint and plan.
Matters: the checkpoint is sound, so nothing but another release or another plan will help; what the loader says then leads elsewhere.
Example: vLLM between #16383 and #16453 looks for the parameters of DeepSeek-R1's MTP layer: KeyError on every rank.
Cure: take the release that the finding names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint import llama
from weightlint.finding import Level, Place
from weightlint.rule import Need, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.case import Case
    from weightlint.finding import Finding
    from weightlint.loader import Release
    from weightlint.loading.fault import Fault
    from weightlint.loading.prediction import Prediction


def check(case: Case) -> Iterator[Finding]:
    """Ask whether the release knows the architecture and what a GGUF file holds, then for faults."""
    from weightlint.loading.prediction import contract_of

    release = case.loader
    if release is None:
        return
    if release.loader.name == llama.NAME:
        from weightlint.age_finding import too_old

        yield from too_old(case, RULE, release)
        return
    if case.lacks(Need.EXPECTED):
        return
    prediction = case.prediction
    contract = contract_of(release) if isinstance(prediction, str) else prediction.contract
    if contract is None:
        return
    span = (contract.unknown or {}).get(case.arch or "")
    if span and release.within(span):
        yield _unknown(case, release, span)
    elif not isinstance(prediction, str):
        yield from _faults(prediction, case)


def _unknown(case: Case, release: Release, span: str) -> Finding:
    names = ", ".join(case.config.architectures) if case.config else case.arch
    return RULE.finding(
        f"{release.says} does not know the architecture {names} ({case.arch})",
        place=Place(files=(case.checkpoint.config_path,)),
        unit="file",
        expected=f"a release outside {span}",
        found=str(release),
        cure=f"take a release of {release.loader.says} outside {span}, or another framework",
    )


def _faults(prediction: Prediction, case: Case) -> Iterator[Finding]:
    """Report a known fault where the prediction shows trouble that no finding explains."""
    from weightlint.loading.aftermath import Rest
    from weightlint.loading.trouble import troubles

    rest = Rest(prediction, case.told)
    if rest.is_moot:
        return
    fault = next((it for it in prediction.contract.faults if prediction.is_met(it)), None)
    if fault is not None and (trouble := next(troubles(rest), None)):
        seen = list(troubles(rest))
        yield RULE.finding(
            f"{prediction.release.says} has a fault with this sound checkpoint: {fault.says}: {trouble.text} "
            f"on ranks {' '.join(trouble.on_ranks)}",
            place=Place(
                tensors=tuple(dict.fromkeys(p for it in seen for p in it.tensors)), ranks=trouble.on_ranks
            ),
            count=sum(it.count for it in seen),
            expected=f"a release of {prediction.release.loader.says} without the fault",
            found=str(prediction.release),
            cure=_cure(fault),
        )


def _cure(fault: Fault) -> str:
    return f"{fault.cure} ({fault.url})" if fault.url else fault.cure


RULE = Rule(
    code="WL601",
    name="unknown-to-loader",
    level=Level.ERROR,
    page=__doc__ or "",
    check=check,
    needs=frozenset({Need.CONFIG, Need.LOADER}),
    turn=90,
)
