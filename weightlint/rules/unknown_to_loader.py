"""The loader's release does not read this kind of checkpoint, or has a known fault with it.

Checks: format, architecture, tensors, layouts and keys against what the release takes, its known faults against the rest.
Matters: the checkpoint is sound, so nothing but another release, framework or plan will help; its error does not say so.
Example: vLLM between #16383 and #16453 looks for the parameters of DeepSeek-R1's MTP layer: KeyError on every rank.
Cure: take the release or the framework that the finding names.
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

ANY_FORMAT = frozenset({"snapshot"})
"""Formats that say nothing of how the model's own files are written."""


def check(case: Case) -> Iterator[Finding]:
    """Ask for the format, whether the release knows the architecture and what a GGUF file holds, then for faults."""
    release = case.loader
    if release is None:
        return
    kind = case.checkpoint.format
    if kind not in ANY_FORMAT and len(case.index) and not release.reads(kind):
        yield _format(case, release, kind)
        return
    if release.loader.name == llama.NAME:
        from weightlint.age_finding import too_old

        yield from too_old(case, RULE, release)
        return
    if case.contract is None:
        return
    shelf = "gguf" if kind == "gguf" else ""
    span = case.contract.unknown_in(case.arch or "", release.version, shelf=shelf)
    if span is not None:
        yield _unknown(case, release, span)
        return
    certain = next(_certain(case), None)
    if certain is not None:
        yield certain
    elif not isinstance(case.prediction, str):
        yield from _faults(case.prediction, case)


def _format(case: Case, release: Release, kind: str) -> Finding:
    from weightlint.loader import LOADERS
    from weightlint.loading.manners import Manners

    loader = release.loader
    own = sorted(name for name in loader.formats if release.reads(name))
    others = ", ".join(it.says for it in LOADERS.values() if kind in it.formats and it is not loader)
    fate = None
    if case.contract is not None:
        manners = Manners(case, release, case.contract)
        manner = manners.manner("format")
        fate = manners.fate(manner) if manner is not None else None
    brings = f"; {loader.brings}" if loader.brings else ""
    return RULE.finding(
        f"{release.says} reads no {_title(kind)} files" + (f"; {fate.sentence}" if fate else ""),
        place=Place(files=tuple(file.path for file in case.index.files[:3])),
        count=len(case.index.files),
        unit="file",
        expected=f"{' or '.join(map(_title, own))} files",
        found=f"{_title(kind)} files",
        cure=f"take the model in such files{brings}; {_title(kind)} is read by {others}",
    )


def _title(kind: str) -> str:
    return {"gguf": "GGUF", "dcp": "torch.distributed"}.get(kind, kind)


def _unknown(case: Case, release: Release, span: str) -> Finding:
    names = ", ".join(case.config.architectures) if case.config is not None else ""
    named = f"{names} ({case.arch})" if names else case.arch
    outside = f"a release outside {span}" if span else "a framework that knows it"
    cure = f"take a release of {release.loader.says} outside {span}, or another framework"
    return RULE.finding(
        f"{release.says} does not know the architecture {named}",
        place=Place(files=(case.checkpoint.config_path,)),
        unit="file",
        expected=outside,
        found=str(release),
        cure=cure if span else "take another framework: no release known here has this architecture",
    )


def _certain(case: Case) -> Iterator[Finding]:
    """Report known faults that follow from the checkpoint and its config alone."""
    from weightlint.loading.certain import known, rows_of

    assert case.loader is not None
    for fault in known(case):
        rows = rows_of(case, fault.has)
        files = () if rows else (case.checkpoint.config_path,)
        yield RULE.finding(
            f"{case.loader.says} has a fault with this sound checkpoint: {fault.says}",
            place=case.place(rows) if rows else Place(files=files),
            count=len(rows) or 1,
            unit="tensor" if rows else "file",
            expected=f"a release of {case.loader.loader.says} without the fault",
            found=str(case.loader),
            cure=_cure(fault),
        )


def _faults(prediction: Prediction, case: Case) -> Iterator[Finding]:
    """Report a known fault where the prediction shows trouble that no finding explains."""
    from weightlint.loading.aftermath import Rest

    rest = Rest(prediction, case.told)
    if rest.is_moot:
        return
    faults = (it for it in prediction.contract.faults if not it.certain)
    fault = next((it for it in faults if prediction.is_met(it)), None)
    if fault is None:
        return
    from weightlint.loading.trouble import troubles

    seen = list(troubles(rest))
    if seen:
        trouble = seen[0]
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
