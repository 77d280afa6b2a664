"""From what a torch file's pickle says to its table of tensors, and what is wrong with it.

Knows nothing of how pickle and storages are packed into a file: that is what a `Content` tells.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from weightlint.finding import counted, printable
from weightlint.index import UNKNOWN, FaultKind, Header, Kind
from weightlint.pickling.values import pairs
from weightlint.torch_files import state_dict
from weightlint.torch_files.faults import broken, grouped, malformed, odd, strange_names, torn, untrusted
from weightlint.torch_files.storages import BadTensorError
from weightlint.torch_files.tensors import view

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from weightlint.index import Fault
    from weightlint.pickling.machine import Pickled
    from weightlint.torch_files.state_dict import StateDict
    from weightlint.torch_files.storages import Storage
    from weightlint.torch_files.tensors import View


class Held(NamedTuple):
    """Where a storage lies in the file and how many bytes it has; not `plain` if it is packed."""

    start: int
    size: int
    plain: bool = True


@dataclass(frozen=True, slots=True)
class Content:
    """A torch file taken apart: its pickle, where each storage is, and what it says of itself.

    `bare` tells that the pickle is not inside an archive, so that its end may be the file's. `notes`
    become metadata, `faults` are those met on the way.
    """

    path: str
    size: int
    pickled: Pickled
    held: Callable[[str], Held | None]
    notes: Mapping[str, object]
    bare: bool = False
    faults: Sequence[Fault] = ()


def header(content: Content) -> Header:
    """Build the table of a file."""
    path, pickled = content.path, content.pickled
    faults = [*content.faults, *untrusted(path, pickled), *_broken(content)]
    if any(fault.lost for fault in faults):
        return Header(size=content.size, metadata=content.notes, faults=faults)
    try:
        found = state_dict.find(_top(pickled))
    except state_dict.BadStateDictError as error:
        return Header(size=content.size, metadata=content.notes, faults=_hopeless(path, faults, str(error)))
    if pickled.protocol > 2 and not faults:
        faults.append(_protocol(path, pickled.protocol))
    return _table(content, found, faults)


def _top(pickled: Pickled) -> object:
    """Return what the pickle holds: the last value, or a table under it that foreign code would hide."""
    if pickled.foreign and pairs(pickled.value) is None:
        return next((each for each in pickled.below if pairs(each) is not None), pickled.value)
    return pickled.value


def _broken(content: Content) -> Iterator[Fault]:
    """Tell of a pickle that cannot be read to its end, unless it was known to be damaged before."""
    path, pickled = content.path, content.pickled
    if any(fault.lost for fault in content.faults):
        return
    if pickled.broken is not None:
        yield broken(path, pickled, bare=content.bare)
    elif pickled.wrong:
        yield malformed(path, f"holds a pickle that {'; '.join(pickled.wrong)}", lost=True)


def _hopeless(path: str, faults: list[Fault], why: str) -> list[Fault]:
    """Return the faults of a file without a state dict; an untrusted one needs no second reason."""
    kept = [replace(fault, lost=True) if fault.kind is FaultKind.UNTRUSTED else fault for fault in faults]
    return kept if any(fault.lost for fault in kept) else [*kept, malformed(path, why, lost=True)]


def _protocol(path: str, protocol: int) -> Fault:
    return odd(
        path,
        f"is pickled with protocol {protocol}, torch.save's own is 2: torch.load(weights_only=True), "
        "the default since torch 2.6, may refuse it",
    )


def _table(content: Content, found: StateDict, faults: list[Fault]) -> Header:
    """Place every tensor in the file; those that cannot be are listed without a kind."""
    kinds, starts, stops, bad = _columns(content, found)
    path, names = content.path, found.names
    faults += [*grouped(path, bad), *strange_names(path, names)]
    if found.odd_keys:
        what = f"keeps {found.odd_keys:,} tensors or tables of tensors under keys that are neither text nor number"
        faults.append(malformed(path, what))
    if content.bare:
        faults += _cut_off(content, names, stops)
    return Header(
        names=names,
        kinds=kinds,
        starts=starts,
        stops=stops,
        size=content.size,
        metadata={**content.notes, **found.beside},
        faults=faults,
    )


Columns = tuple[list[Kind], list[int], list[int], dict[str, list[str]]]


def _columns(content: Content, found: StateDict) -> Columns:
    """Return kinds, starts and stops of all tensors, and the names of those that cannot be by reason."""
    kinds, starts, stops = [], [], []
    bad: dict[str, list[str]] = defaultdict(list)
    known: dict[tuple[str, tuple[int, ...]], Kind] = {}
    placed = _Placed(content)
    for name, call in zip(found.names, found.calls, strict=True):
        start = stop = 0
        try:
            seen = view(call)
            if seen.storage is not None:
                start, stop = placed.place(seen, seen.storage)
            kind = known.get(seen[:2]) or known.setdefault(seen[:2], Kind(*seen[:2]))
            if seen.meta:
                bad["no values: it was saved on the meta device"].append(name)
        except BadTensorError as error:
            kind = UNKNOWN
            bad[str(error)].append(name)
        kinds.append(kind)
        starts.append(start)
        stops.append(stop)
    return kinds, starts, stops, bad


class _Placed:
    """Storages as the file has them, each looked up once."""

    def __init__(self, content: Content) -> None:
        self._held = content.held
        self._known: dict[str, Held | None] = {}

    def place(self, seen: View, storage: Storage) -> tuple[int, int]:
        """Return where a tensor's bytes are in the file; 0 and 0 where they are packed.

        Raises:
            BadTensorError: the storage is absent or has another size.
        """
        key = storage.key
        if key not in self._known:
            self._known[key] = self._held(key)
        held = self._known[key]
        if held is None:
            message = f"the storage {printable(key, limit=40)}, which is not in the file"
            raise BadTensorError(message)
        if held.size != storage.size:
            message = f"a storage of {storage.size:,} bytes, of which the file holds {held.size:,}"
            raise BadTensorError(message)
        return (held.start + seen.start, held.start + seen.stop) if held.plain else (0, 0)


def _cut_off(content: Content, names: Sequence[str], stops: Sequence[int]) -> Iterator[Fault]:
    """Tell of tensors that end after the file does."""
    hit = [name for name, stop in zip(names, stops, strict=True) if stop > content.size]
    if hit:
        short = max(stops) - content.size
        yield torn(
            content.path,
            f"ends {short:,} bytes too early; {counted(len(hit), 'tensor')} cut off or absent",
            hit,
        )
