"""What can be wrong with a torch file, in words: one fault per cause, each with its tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.finding import counted, printable
from weightlint.foreign import AGAIN
from weightlint.header_faults import MAX_GAP, STRANGE, strange
from weightlint.index import Fault, FaultKind
from weightlint.layout import shown
from weightlint.names import patterns

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from weightlint.pickling.machine import Pickled

SAVE = "save the state dict again, best as safetensors"
TRUST = (
    "do not load it, unpickling runs what it names: take safetensors, or a file that "
    "torch.load(weights_only=True) accepts, from a source that you trust"
)
MAX_SHOWN = 5
"""Globals that a message names; the rest is counted."""


def malformed(
    path: str, what: str, names: Sequence[str] = (), *, lost: bool = False, cure: str = ""
) -> Fault:
    """Return the fault of a file that contradicts itself; `what` follows its name."""
    return Fault(
        kind=FaultKind.MALFORMED,
        file=path,
        message=f"{path} {what}",
        tensors=tuple(patterns(names)),
        cure=cure or (SAVE if names else AGAIN),
        lost=lost,
    )


def odd(path: str, what: str, names: Sequence[str] = ()) -> Fault:
    """Return the fault of a file that torch loads all the same."""
    return Fault(
        kind=FaultKind.ODD,
        file=path,
        message=f"{path} {what}",
        tensors=tuple(patterns(names)),
        cure=f"harmless for torch, other readers may refuse it: {SAVE}",
    )


def torn(path: str, what: str, names: Sequence[str] = (), *, lost: bool = False) -> Fault:
    """Return the fault of a file that is shorter than it says."""
    return Fault(
        kind=FaultKind.TORN,
        file=path,
        message=f"{path} {what}",
        tensors=tuple(patterns(names)),
        cure="download the file again: it was cut short",
        lost=lost,
    )


def broken(path: str, pickled: Pickled, *, bare: bool) -> Fault:
    """Return the fault of a pickle that ended early; one that is `bare` may end where the file does."""
    if bare and pickled.cut:
        return torn(path, f"ends inside its pickle, which {pickled.broken}", lost=True)
    return malformed(path, f"holds a pickle that {pickled.broken}", lost=True)


def foreign(path: str, what: str, cure: str) -> Fault:
    """Return the fault of a file that is no torch file."""
    return Fault(
        kind=FaultKind.FOREIGN,
        file=path,
        message=f"{path} is no file of torch.save but {what}",
        cure=cure,
        lost=True,
    )


def untrusted(path: str, pickled: Pickled) -> Iterator[Fault]:
    """Tell of globals outside the known set, and of opcodes that torch.save never writes."""
    asked = [printable(name, limit=80) for name in pickled.foreign]
    parts = [f"asks for {_listed(asked)}"] if asked else []
    if pickled.refused:
        parts.append(f"uses the pickle opcodes {_listed(pickled.refused)}")
    if parts:
        yield Fault(
            kind=FaultKind.UNTRUSTED,
            file=path,
            message=f"{path} {' and '.join(parts)}: no state dict needs it, and unpickling may run it",
            expected="globals that make tensors and containers only",
            found=f"{counted(len(asked), 'other global')}" if asked else "opcodes with other powers",
            cure=TRUST,
        )


def _listed(words: Sequence[str]) -> str:
    more = f" and {len(words) - MAX_SHOWN:,} more" if len(words) > MAX_SHOWN else ""
    return ", ".join(words[:MAX_SHOWN]) + more


def grouped(path: str, bad: Mapping[str, list[str]], *, cure: str = SAVE) -> Iterator[Fault]:
    """Tell of tensors that cannot be, by reason in words that follow `has`."""
    for reason, names in list(bad.items())[:MAX_GAP]:
        many = (
            f"{len(names):,} tensors of {path} have" if len(names) > 1 else f"{shown(names[0])} of {path} has"
        )
        yield Fault(
            kind=FaultKind.MALFORMED,
            file=path,
            message=f"{many} {reason}",
            tensors=tuple(patterns(names)),
            cure=cure,
        )
    rest = [name for names in list(bad.values())[MAX_GAP:] for name in names]
    if rest:
        yield malformed(
            path, f"has {len(rest):,} more tensors that contradict their storages", rest, cure=cure
        )


def strange_names(path: str, names: Sequence[str]) -> Iterator[Fault]:
    """Tell of names that could forge output, and of names given twice."""
    found = strange(names)
    if found:
        yield odd(path, f"has {counted(len(found), 'tensor name')} that {STRANGE}", found)
    if len(set(names)) != len(names):
        seen: set[str] = set()
        twice = [name for name in names if name in seen or seen.add(name)]  # type: ignore[func-returns-value]
        yield malformed(
            path, f"gives {shown(twice[0])} twice: torch keeps the last one without a word", twice
        )
